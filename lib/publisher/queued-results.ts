import { SettlementUnknownError } from '../errors/publish-errors.js';
import { type Death, errorOf } from './publisher-dead-letters.js';
import type { Settlement, SettlementSource } from './receipt.js';
import type { RetryQueueStore } from './retry-queue-store.js';

/** So many of the latest rejections are remembered, for those who ask after the dead letter is gone. */
const MAX_REMEMBERED = 10_000;

interface Waiting {
  readonly promise: Promise<Settlement>;
  readonly resolve: (settlement: Settlement) => void;
}

/**
 * The final results of queued messages. One costs memory only once somebody asks for it; a later caller is answered from
 * the store.
 */
export class QueuedResults implements SettlementSource {
  private readonly waiting = new Map<number, Waiting>();
  /** Without the error itself, which holds on to its stack and its cause. */
  private readonly rejected = new Map<number, Pick<Death, 'error'>>();
  /** The last place of the messages that were rejected and are not remembered any more. */
  private forgotten = -1;

  constructor(
    private readonly store: RetryQueueStore,
    private readonly remembered = MAX_REMEMBERED,
  ) {}

  of(seq: number, id: string): Promise<Settlement> {
    const asked = this.waiting.get(seq);
    if (asked) return asked.promise;
    const settlement = this.look(seq, id);
    return settlement ? Promise.resolve(settlement) : this.wait(seq);
  }

  settle(seq: number, settlement: Settlement): void {
    if (settlement.outcome === 'rejected') this.remember(seq, settlement.error);
    this.waiting.get(seq)?.resolve(settlement);
    this.waiting.delete(seq);
  }

  private look(seq: number, id: string): Settlement | undefined {
    const found = this.store.find(seq);
    const rejected = typeof found === 'object' ? found : this.rejected.get(seq);
    if (rejected) return { id, outcome: 'rejected', error: errorOf(rejected) };
    if (found === 'waiting') return undefined;
    return seq > this.forgotten ? { id, outcome: 'confirmed' } : { id, outcome: 'rejected', error: unknown(id) };
  }

  private wait(seq: number): Promise<Settlement> {
    let resolve!: (settlement: Settlement) => void;
    const promise = new Promise<Settlement>((settle) => (resolve = settle));
    this.waiting.set(seq, { promise, resolve });
    return promise;
  }

  private remember(seq: number, { name, code, message }: Death['error']): void {
    this.rejected.set(seq, { error: { name, code, message } });
    if (this.rejected.size <= this.remembered) return;
    const [oldest] = this.rejected.keys() as Iterable<number> as [number];
    this.rejected.delete(oldest);
    this.forgotten = Math.max(this.forgotten, oldest);
  }
}

function unknown(id: string): SettlementUnknownError {
  return new SettlementUnknownError(
    `Message ${id} was sent, or given up and its dead letter deleted; so many were given up since that nobody knows which`,
  );
}
