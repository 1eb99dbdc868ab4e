import assert from 'node:assert/strict';
import { ManualClock } from '../../clock/manual-clock.js';
import { SteadyTime } from '../../clock/steady-time.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import type {
  QueuedMessage,
  RetryQueueStore,
  RetryQueueStoreFactory,
  StoredMessage,
} from '../../publisher/retry-queue-store.js';

/** One store under test, and short ways to use it. */
export class StoreBed {
  readonly clock = new ManualClock();
  readonly time = new SteadyTime(this.clock);
  readonly lines: string[] = [];
  adopted = 0;
  store: RetryQueueStore;

  constructor(private readonly factory: RetryQueueStoreFactory) {
    this.store = this.make();
  }

  /** Ends the store and opens another one of the same factory. */
  async reopen(): Promise<void> {
    this.store.close();
    this.store = this.make();
    await this.store.open();
  }

  /** Keeps a message; resolves when it is kept. */
  append(id: string, more: Partial<QueuedMessage> = {}): Promise<StoredMessage> {
    return new Promise((resolve, reject) =>
      this.store.append(this.message(id, more), (stored, error) => (error ? reject(error) : resolve(stored))),
    );
  }

  message(id: string, more: Partial<QueuedMessage> = {}): QueuedMessage {
    return {
      message: { id, route: 'order.created', body: Buffer.from(id), headers: {}, properties: {} },
      to: { kind: 'route', route: 'order.created' },
      dedupeId: id,
      unroutable: 'reject',
      sendAt: undefined,
      key: undefined,
      priority: 0,
      dueAt: 0,
      expiresAt: undefined,
      queuedAt: this.time.now(),
      bytes: 100,
      attempts: 0,
      returns: 0,
      maxAttempts: undefined,
      backoff: undefined,
      ...more,
    };
  }

  /** Ids in the order in which a pass hands them out. */
  ready(dueUntil = Number.MAX_SAFE_INTEGER, dueAfter?: number): string[] {
    const pass = this.store.ready(dueUntil, dueAfter);
    const ids: string[] = [];
    for (let step = pass.next(); !step.done; step = pass.next()) ids.push(step.value.message.id);
    return ids;
  }

  first(): StoredMessage {
    const pass = this.store.ready(Number.MAX_SAFE_INTEGER);
    const step = pass.next();
    pass.return?.();
    assert.ok(!step.done, 'a pass hands out what waits');
    return step.value;
  }

  private make(): RetryQueueStore {
    const line = (message: string): void => void this.lines.push(message);
    return this.factory.create({
      destination: 'orders:default:contract',
      clock: this.clock,
      time: this.time,
      log: { log: line, warn: line, error: line, debug: line },
      onAdopted: (count) => void (this.adopted += count),
      onError: (_operation: string, error: MessagingError) => this.lines.push(error.message),
    });
  }
}
