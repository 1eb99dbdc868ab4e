import type { QueueEntry } from '../durable-queue/queue-entry.js';

/** So often a message must be the only one that was sent when the server ends the connection before it is given up for that. */
const ENDINGS = 2;

interface SuspectsParts {
  /** Sends it as any other. */
  send(entry: QueueEntry): void;
  /** The server ends the connection over it. `reason`: in its words. */
  guilty(entry: QueueEntry, reason: string): void;
}

/**
 * What was under way when the server ended the connection over something that it was sent. It does not say over what, so
 * they are sent one by one on the next connection, each when the server has shown that it goes on after the one before.
 */
export class Suspects {
  private waiting: QueueEntry[] = [];
  /** The first one was sent, and the server not heard since. */
  private trying = false;
  private endings = 0;

  constructor(private readonly parts: SuspectsParts) {}

  /** Nothing else is sent until there are none. */
  get any(): boolean {
    return this.waiting.length > 0;
  }

  /** The connection is lost with what was under way. `reason`: why the server ended it over that, where it did. */
  lost(sent: readonly QueueEntry[], reason: string | undefined): void {
    const { trying } = this;
    this.trying = false;
    if (reason === undefined) return;
    if (!trying) {
      this.waiting = [...sent];
      this.endings = 0;
    } else if (++this.endings === ENDINGS) {
      this.parts.guilty(this.waiting.shift()!, reason);
      this.endings = 0;
    }
  }

  /** On a new connection. Resolves with whether there are none any more. `goesOn`: whether the server is heard after what it was sent. */
  async tryAll(goesOn: () => Promise<boolean>): Promise<boolean> {
    for (const entry of [...this.waiting]) {
      this.trying = true;
      this.parts.send(entry);
      if (!(await goesOn())) return false;
      this.trying = false;
      this.waiting.shift();
      this.endings = 0;
    }
    return true;
  }
}
