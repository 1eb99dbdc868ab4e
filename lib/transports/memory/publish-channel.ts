import type { CancelTimer, Clock } from '../../clock/clock.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { NotConnectedError, PublishFailedError } from '../../errors/publish-errors.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { PublishDone } from '../../transport/transport.js';
import type { Job } from './dispatcher.js';
import { Fifo } from './fifo.js';
import type { ClientDefaults, MemoryBroker } from './memory-broker.js';

interface InFlight {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
  readonly order: number;
  result: PublishResult | undefined;
  sentAt: number;
}

/**
 * What one client has published and does not know the fate of. Every publish ends: answered, or failed because the
 * connection ended or the answer did not come in time (then all that wait for one fail: the channel is gone).
 */
export class PublishChannel implements Job {
  scheduled = false;
  private readonly answered = new Fifo<InFlight>();
  private readonly held = new Fifo<InFlight>();
  private readonly unanswered = new Fifo<InFlight>();
  private order = 0;
  private closedBy: string | undefined = 'not connected yet';
  private blocked = false;
  private cancelSweep: CancelTimer | undefined;

  constructor(
    private readonly broker: MemoryBroker,
    private readonly defaults: ClientDefaults,
    private readonly timing: () => { readonly clock: Clock; readonly confirmTimeout: number },
    private readonly warn: (message: string) => void,
  ) {}

  open(): void {
    this.closedBy = undefined;
  }

  /** Everything in flight fails, in the order it was published; what is published from now on fails as well. */
  close(reason: string): void {
    this.closedBy = reason;
    this.blocked = false;
    this.failAll(new PublishFailedError(`The connection ended before the broker confirmed: ${reason}`));
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    for (const outgoing of batch) this.send({ outgoing, done, order: this.order++, result: undefined, sentAt: 0 });
  }

  /** While blocked nothing reaches the broker and nothing is given up. */
  setBlocked(blocked: boolean): void {
    this.blocked = blocked;
    this.stopSweep();
    if (blocked) return;
    const now = this.timing().clock.monotonic();
    for (const waiting of this.unanswered.takeAll()) this.await(waiting, now);
    for (const waiting of this.held.takeAll()) this.send(waiting);
  }

  run(limit: number): number {
    let steps = 0;
    try {
      for (; steps < limit && this.answered.size > 0; steps++) {
        const { outgoing, done, result } = this.answered.shift()!;
        done(outgoing, result!);
      }
    } finally {
      if (this.answered.size > 0) this.broker.dispatcher.schedule(this);
    }
    return steps;
  }

  private send(message: InFlight): void {
    if (this.closedBy !== undefined)
      return this.answer(
        message,
        failed(new NotConnectedError(`There is no connection to the broker: ${this.closedBy}`)),
      );
    if (this.blocked) return this.held.push(message);
    const result = this.broker.publish(message.outgoing, this.defaults);
    if (result) this.answer(message, result);
    else this.await(message, this.timing().clock.monotonic());
  }

  private answer(message: InFlight, result: PublishResult): void {
    message.result = result;
    this.answered.push(message);
    this.broker.dispatcher.schedule(this);
  }

  private await(message: InFlight, now: number): void {
    message.sentAt = now;
    this.unanswered.push(message);
    if (this.cancelSweep || this.blocked) return;
    const { clock, confirmTimeout } = this.timing();
    this.cancelSweep = clock.after(confirmTimeout, () => this.giveUp(confirmTimeout));
  }

  /** The timer is that of the oldest, and all the others go with it: there is never a second one. */
  private giveUp(confirmTimeout: number): void {
    const count = this.unanswered.size;
    this.failAll(
      new PublishFailedError(`The broker did not confirm within ${confirmTimeout} ms; the channel was closed`),
    );
    this.warn(
      `No confirm within ${confirmTimeout} ms: the publish channel was closed with ${count} publishes on it, and opened again`,
    );
  }

  /** Answers that are known but not handed out yet are lost with the connection too. */
  private failAll(error: MessagingError): void {
    this.stopSweep();
    const all = [...this.answered.takeAll(), ...this.unanswered.takeAll(), ...this.held.takeAll()];
    all.sort((a, b) => a.order - b.order);
    for (const message of all) this.answer(message, failed(error));
  }

  private stopSweep(): void {
    this.cancelSweep?.();
    this.cancelSweep = undefined;
  }
}

function failed(error: MessagingError): PublishResult {
  return { status: 'failed', error };
}
