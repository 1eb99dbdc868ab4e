import type { Clock } from '../clock/clock.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { Destination } from '../transport/outgoing.js';
import type { Canary } from './redrive-options.js';

/** A dead letter that was sent first, and where it was and went. */
interface Watched {
  readonly id: string;
  readonly deadLetterQueue: string | undefined;
  /** Undefined: the canary went by its route. */
  readonly queue: string | undefined;
  fate: Canary['fate'];
}

/** Some dead letters that are sent before the others, and what becomes of them. */
export class CanaryStage {
  private readonly watched = new Map<string, Watched>();
  private readonly stopListening: () => void;
  private onChange: () => void = () => undefined;

  constructor(
    private readonly size: number,
    events: MessagingEvents,
  ) {
    this.stopListening = events.on('settled', ({ delivery, outcome }) => {
      const canary = this.watched.get(delivery.message.id);
      if (canary?.fate !== 'sent' || outcome === 'released') return;
      if (canary.queue !== undefined && canary.queue !== delivery.queue) return;
      canary.fate = outcome === 'ack' ? 'handled' : 'failed';
      this.onChange();
    });
  }

  /** How many canaries the stage takes yet. */
  get room(): number {
    return this.size - this.watched.size;
  }

  get isEmpty(): boolean {
    return this.watched.size === 0;
  }

  get all(): Canary[] {
    return [...this.watched.values()].map(({ id, fate }) => ({ id, fate }));
  }

  get hasFailed(): boolean {
    return [...this.watched.values()].some(({ fate }) => fate === 'failed' || fate === 'returned');
  }

  /** The canaries of which nothing was heard. */
  get silent(): readonly Watched[] {
    return [...this.watched.values()].filter(({ fate }) => fate === 'sent');
  }

  /** The canary is about to be sent: its handler may be faster than the confirm. */
  add(id: string, deadLetterQueue: string | undefined, to: Destination): void {
    const queue = to.kind === 'queue' ? to.queue : undefined;
    this.watched.set(id, { id, deadLetterQueue, queue, fate: 'sent' });
  }

  /** The canary was not sent after all. */
  remove(id: string): void {
    this.watched.delete(id);
  }

  /** Resolves when every fate is known, one is bad, the time is over, or it was aborted. */
  wait(clock: Clock, windowMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal?.removeEventListener('abort', finish);
        this.onChange = () => undefined;
        resolve();
      };
      const cancel = clock.after(windowMs, finish);
      signal?.addEventListener('abort', finish, { once: true });
      this.onChange = () => {
        if (this.hasFailed || this.silent.length === 0) finish();
      };
      if (signal?.aborted) finish();
      else this.onChange();
    });
  }

  /** The canary was seen in the dead letters. */
  returned(id: string): void {
    const canary = this.watched.get(id);
    if (canary?.fate === 'sent') canary.fate = 'returned';
  }

  /** The time is over, and the dead letters were looked through. */
  quiet(): void {
    for (const canary of this.silent) canary.fate = 'quiet';
  }

  end(): void {
    this.stopListening();
  }
}
