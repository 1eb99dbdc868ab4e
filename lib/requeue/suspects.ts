import type { QueueEntry } from '../durable-queue/queue-entry.js';
import { Guilt } from '../transports/kit/quarantine.js';

/** How a connection ended. */
export interface LostConnection {
  readonly reason: string;
  /** The reason is the server's, over something that it was sent. */
  readonly refused: boolean;
  /** The server said so, or none lasts for longer than a moment: its words can be lost with the connection. */
  readonly suspicious: boolean;
}

interface SuspectsParts {
  /** Sends a message as any other. */
  send(entry: QueueEntry): void;
  /** The server ends the connection over it. `reason`: in its words, where they arrived. */
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
  private guilt = new Guilt();

  constructor(private readonly parts: SuspectsParts) {}

  /** Nothing else is sent until there are none. */
  get any(): boolean {
    return this.waiting.length > 0;
  }

  /** The connection is lost with what was under way. */
  lost(sent: readonly QueueEntry[], { reason, refused, suspicious }: LostConnection): void {
    if (!this.trying) {
      if (suspicious) this.waiting = [...sent];
      return;
    }
    this.trying = false;
    const guilty = this.guilt.ended(reason, refused);
    if (guilty === undefined) return;
    this.parts.guilty(this.waiting.shift()!, guilty);
    this.guilt = new Guilt();
  }

  /** On a new connection. Resolves with whether there are none any more. `goesOn`: whether the server is heard after what it was sent. */
  async tryAll(goesOn: () => Promise<boolean>): Promise<boolean> {
    for (const entry of [...this.waiting]) {
      this.trying = true;
      this.parts.send(entry);
      if (!(await goesOn())) return false;
      this.trying = false;
      this.waiting.shift();
      this.guilt = new Guilt();
    }
    return true;
  }
}
