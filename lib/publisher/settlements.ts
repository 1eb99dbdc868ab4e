import { errorOf } from './publisher-dead-letters.js';
import type { Settlement, SettlementSource } from './receipt.js';
import type { RetryQueueStore } from './retry-queue-store.js';

/** So many of the latest rejections are remembered, for those who ask after the dead letter is gone. */
const MAX_REMEMBERED = 1_000;

interface Waiting {
  readonly promise: Promise<Settlement>;
  readonly resolve: (settlement: Settlement) => void;
}

/**
 * The final results of queued messages. One costs memory only once somebody asks for it; who asks later is answered from
 * the store.
 */
export class Settlements implements SettlementSource {
  private readonly waiting = new Map<number, Waiting>();
  private readonly rejected = new Map<number, Settlement>();

  constructor(private readonly store: RetryQueueStore) {}

  of(seq: number, id: string): Promise<Settlement> {
    const asked = this.waiting.get(seq);
    if (asked) return asked.promise;
    const settlement = this.rejected.get(seq) ?? this.look(seq, id);
    return settlement ? Promise.resolve(settlement) : this.wait(seq);
  }

  settle(seq: number, settlement: Settlement): void {
    if (settlement.outcome === 'rejected') this.remember(seq, settlement);
    this.waiting.get(seq)?.resolve(settlement);
    this.waiting.delete(seq);
  }

  private look(seq: number, id: string): Settlement | undefined {
    const found = this.store.find(seq);
    if (found === 'waiting') return undefined;
    return found === 'gone' ? { id, outcome: 'confirmed' } : { id, outcome: 'rejected', error: errorOf(found) };
  }

  private wait(seq: number): Promise<Settlement> {
    let resolve!: (settlement: Settlement) => void;
    const promise = new Promise<Settlement>((settle) => (resolve = settle));
    this.waiting.set(seq, { promise, resolve });
    return promise;
  }

  private remember(seq: number, settlement: Settlement): void {
    this.rejected.set(seq, settlement);
    if (this.rejected.size <= MAX_REMEMBERED) return;
    const [oldest] = this.rejected.keys() as Iterable<number> as [number];
    this.rejected.delete(oldest);
  }
}
