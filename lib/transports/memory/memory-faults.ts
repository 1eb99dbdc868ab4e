import type { Destination } from '../../transport/outgoing.js';

/** What the broker does with one publish. */
export type PublishVerdict = 'take' | 'nack' | 'take-silently' | 'lose-silently';

/** How often each fault really hit something: a test whose fault hit nothing has shown nothing. */
export interface FaultHits {
  /** Connections ended by `disconnect`. */
  disconnected: number;
  /** Connection attempts turned down after `refuse`. */
  refused: number;
  /** Publishes nacked, and not stored. */
  nacked: number;
  /** Publishes stored whose confirm was withheld. */
  unconfirmed: number;
  /** Publishes neither stored nor confirmed. */
  vanished: number;
  /** Consumers ended by `cancel` or `deleteQueue`. */
  cancelled: number;
}

/** The part of the broker that faults act on. */
export interface FaultTarget {
  disconnect(reason: string): number;
  setBlocked(reason: string | undefined): void;
  cancel(queue: string, reason: string): number;
  deleteQueue(queue: string): number;
}

/**
 * Makes the memory broker misbehave as a real one does on a bad day. Every switch acts on all clients of the broker
 * and stays as it is set until it is set back.
 *
 * ```ts
 * const broker = new MemoryBroker();
 * broker.faults.nack((to) => to.kind === 'dead-letter');   // no dead letter can be written …
 * broker.faults.nack(false);                               // … until now
 * ```
 */
export class MemoryFaults {
  readonly hits: FaultHits = { disconnected: 0, refused: 0, nacked: 0, unconfirmed: 0, vanished: 0, cancelled: 0 };
  private refusal: string | undefined;
  private nacksLeft = 0;
  private nacks: (to: Destination) => boolean = () => false;
  private withholdsConfirms = false;
  private losesPublishes = false;

  /** @internal */
  constructor(private readonly target: FaultTarget) {}

  /** Ends every connection, as a reset does. The clients reconnect after their backoff. */
  disconnect(reason = 'connection reset'): void {
    this.hits.disconnected += this.target.disconnect(reason);
  }

  /** New connections fail until `accept`. Those that exist go on; follow with `disconnect` for a broker that is down. */
  refuse(reason = 'connection refused'): void {
    this.refusal = reason;
  }

  /** New connections succeed again. */
  accept(): void {
    this.refusal = undefined;
  }

  /** True: publishes are held, neither stored nor answered, and the clients are told (an alarm). False: they go on. */
  block(on: boolean, reason = 'low on memory'): void {
    this.target.setBlocked(on ? reason : undefined);
  }

  /** The next `count` publishes are nacked and not stored. */
  nackNext(count: number): void {
    this.nacksLeft = count;
  }

  /** Publishes are nacked and not stored: all of them, those to the destinations meant, or (false) none. */
  nack(which: boolean | ((to: Destination) => boolean)): void {
    this.nacks = typeof which === 'function' ? which : () => which;
  }

  /** True: publishes are stored, but the confirm never comes. After `confirmTimeout` the client gives them up. */
  dropConfirms(on: boolean): void {
    this.withholdsConfirms = on;
  }

  /** True: publishes vanish, neither stored nor confirmed. After `confirmTimeout` the client gives them up. */
  dropPublishes(on: boolean): void {
    this.losesPublishes = on;
  }

  /** Ends the consumers of a queue, as a node that leaves its cluster does. What they hold stays theirs to settle. */
  cancel(queue: string, reason = 'consumer cancelled by the broker'): void {
    this.hits.cancelled += this.target.cancel(queue, reason);
  }

  /** Deletes a queue with its messages and bindings, and ends its consumers. */
  deleteQueue(queue: string): void {
    this.hits.cancelled += this.target.deleteQueue(queue);
  }

  /** Sets every switch back. What already happened, for example a deleted queue, stays. */
  clear(): void {
    this.accept();
    this.nackNext(0);
    this.nack(false);
    this.dropConfirms(false);
    this.dropPublishes(false);
    this.block(false);
  }

  /** @internal Why a new connection is turned down, if it is. */
  refuseConnection(): string | undefined {
    if (this.refusal !== undefined) this.hits.refused++;
    return this.refusal;
  }

  /** @internal */
  judge(to: Destination): PublishVerdict {
    if (this.nacksLeft > 0 || this.nacks(to)) {
      if (this.nacksLeft > 0) this.nacksLeft--;
      this.hits.nacked++;
      return 'nack';
    }
    if (this.losesPublishes) {
      this.hits.vanished++;
      return 'lose-silently';
    }
    if (!this.withholdsConfirms) return 'take';
    this.hits.unconfirmed++;
    return 'take-silently';
  }
}
