import type { IdempotencyStore, IdempotencyStoreEnvironment, IdempotencyStoreFactory } from './idempotency-store.js';

/** The stores of one connection: one for each factory, however many subscriptions name it. */
export class IdempotencyStorePool {
  private readonly stores = new Map<IdempotencyStoreFactory, IdempotencyStore>();

  constructor(private readonly environment: IdempotencyStoreEnvironment) {}

  of(factory: IdempotencyStoreFactory): IdempotencyStore {
    const store = this.stores.get(factory) ?? factory.create(this.environment);
    this.stores.set(factory, store);
    return store;
  }

  async close(): Promise<void> {
    await Promise.all([...this.stores.values()].map((store) => store.close()));
  }
}
