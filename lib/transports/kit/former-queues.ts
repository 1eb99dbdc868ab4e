import type { TransportEnvironment } from '../../transport/transport.js';
import { Renewal } from './renewal.js';

/** A queue that holds messages while nobody consumes it. */
export interface UnattendedQueue {
  readonly queue: string;
  readonly messages: number;
  /** What leads to the queue, in words. */
  readonly bindings: readonly string[];
  /** How to end that: sentences. */
  readonly remedy: string;
}

/**
 * Queues of subscriptions that were removed altogether: they stay bound, and fill. Nobody can say for sure that a queue is
 * one: another application of the service may declare it and be away. So only one that holds messages while nobody
 * consumes it is told, once per process, after the others have had a minute to start; it is left alone.
 */
export class FormerQueues {
  private looked = false;

  constructor(
    /** The queues that this service has bound and that are not in `declared`. Rejects where that cannot be told now. */
    private readonly unattended: (declared: ReadonlySet<string>) => Promise<readonly UnattendedQueue[]>,
    private readonly warn: (message: string) => void,
  ) {}

  /** `declared`: the queues of this process. A process that has none knows nothing. Does not reject. */
  async look(declared: ReadonlySet<string>): Promise<void> {
    if (this.looked || declared.size === 0) return;
    try {
      for (const one of await this.unattended(declared)) this.tell(one);
      this.looked = true;
    } catch {
      // The question is asked again with the next look.
    }
  }

  /** Looks by itself, a minute from now, and again as long as it could not. @returns who is to be stopped in the end */
  lookLater(environment: Pick<TransportEnvironment, 'clock' | 'random'>, declared: () => ReadonlySet<string>): Renewal {
    const renewal = new Renewal(environment, async () => {
      await this.look(declared());
      if (this.looked) renewal.stop();
    });
    renewal.start();
    return renewal;
  }

  private tell({ queue, messages, bindings, remedy }: UnattendedQueue): void {
    this.warn(
      `«${queue}» holds ${messages} messages, and nobody consumes it. This service has bound it by ${bindings.join(', ')}, and this process does not declare it. Where no other application does either, its subscription was removed and it fills for ever. ${remedy}`,
    );
  }
}
