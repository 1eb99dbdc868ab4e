import type { CancelTimer, Clock } from '../clock/clock.js';
import type { MessagingEvents } from '../events/messaging-events.js';

const BUCKET_MS = 10_000;
const BUCKETS = 30;
const DURATIONS = 200;
/** Nobody asks any more. */
const UNWATCHED_MS = 60_000;

interface QueueRates {
  readonly handled: number[];
  readonly failed: number[];
  readonly durations: number[];
  next: number;
}

export interface ToldRates {
  /** In each ten seconds of the last five minutes, the oldest first. */
  readonly handled: readonly number[];
  readonly failed: readonly number[];
  /** Milliseconds from delivery to settlement that 95 % of the last 200 took at most. */
  readonly p95?: number;
}

/** Counts what handlers settle while somebody looks. */
export class Rates {
  private readonly byQueue = new Map<string, QueueRates>();
  private bucket = 0;
  private stopListening: (() => void) | undefined;
  private cancelTimer: CancelTimer | undefined;

  constructor(
    private readonly events: MessagingEvents,
    private readonly clock: Clock,
  ) {}

  /** Somebody looks: it is counted for a minute more. */
  watch(): void {
    this.cancelTimer?.();
    this.cancelTimer = this.clock.after(UNWATCHED_MS, () => this.stop(), { background: true });
    if (this.stopListening) return;
    this.bucket = this.now();
    this.stopListening = this.events.on('settled', ({ delivery, outcome, durationMs }) => {
      const rates = this.of(delivery.queue);
      this.turn();
      const at = this.bucket % BUCKETS;
      if (outcome === 'ack') rates.handled[at]++;
      else if (outcome !== 'released') rates.failed[at]++;
      rates.durations[rates.next++ % DURATIONS] = durationMs;
    });
  }

  stop(): void {
    this.cancelTimer?.();
    this.stopListening?.();
    this.stopListening = undefined;
    this.byQueue.clear();
  }

  report(queue: string): ToldRates | undefined {
    const rates = this.byQueue.get(queue);
    if (!rates) return undefined;
    this.turn();
    const ordered = (counts: readonly number[]): number[] =>
      Array.from({ length: BUCKETS }, (_, at) => counts[(this.bucket + 1 + at) % BUCKETS]);
    const durations = [...rates.durations].sort((one, other) => one - other);
    const p95 = durations[Math.ceil(durations.length * 0.95) - 1];
    return { handled: ordered(rates.handled), failed: ordered(rates.failed), ...(p95 !== undefined && { p95 }) };
  }

  /** In a second of the last minute. */
  perSecond(): { readonly handled: number; readonly failed: number } {
    this.turn();
    let [handled, failed] = [0, 0];
    for (const rates of this.byQueue.values())
      for (let back = 1; back <= 6; back++) {
        const at = (this.bucket - back + BUCKETS) % BUCKETS;
        handled += rates.handled[at];
        failed += rates.failed[at];
      }
    return { handled: handled / 60, failed: failed / 60 };
  }

  private of(queue: string): QueueRates {
    let rates = this.byQueue.get(queue);
    if (!rates) {
      const zeros = (): number[] => Array<number>(BUCKETS).fill(0);
      this.byQueue.set(queue, (rates = { handled: zeros(), failed: zeros(), durations: [], next: 0 }));
    }
    return rates;
  }

  private now(): number {
    return Math.floor(this.clock.monotonic() / BUCKET_MS);
  }

  /** What was counted five minutes ago is counted over. */
  private turn(): void {
    const now = this.now();
    for (let bucket = Math.max(this.bucket + 1, now - BUCKETS + 1); bucket <= now; bucket++)
      for (const { handled, failed } of this.byQueue.values()) handled[bucket % BUCKETS] = failed[bucket % BUCKETS] = 0;
    this.bucket = now;
  }
}
