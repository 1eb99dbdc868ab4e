import type { Clock } from '../clock/clock.js';

/** What a claim has led to. */
export type Claim =
  /** The caller has the key: it may handle the message, until its lease ends. */
  | { readonly state: 'acquired' }
  /** Somebody else handles the message; his lease ends in so many milliseconds, unless he renews it. */
  | { readonly state: 'in-progress'; readonly leaseLeftMs: number }
  /** The message was handled, and its window is not over. */
  | { readonly state: 'done' };

/**
 * Keeps what is being handled and what was handled, by key. A claim belongs to its token: whoever lost it cannot change it
 * any more. Every method may reject; then nothing is known, and the message is put off.
 *
 * The contract is `idempotencyStoreContract` of `nestjs-messaging/testing`.
 */
export interface IdempotencyStore {
  /** Checks at boot that the store can be used. @throws what waiting cannot cure */
  open?(): Promise<void>;
  /** Takes the key, if nobody has it: it is new, its lease is over, or its window is. Of many at once one gets it. */
  claim(key: string, token: string, leaseMs: number): Promise<Claim>;
  /** The lease ends in `leaseMs` from now. False: the claim is another's, or gone. */
  renew(key: string, token: string, leaseMs: number): Promise<boolean>;
  /**
   * The message was handled: the key is `done` for `windowMs`. Once this has resolved, that survives what the store is there
   * to survive. False, and without effect, if another has the claim or has finished.
   */
  complete(key: string, token: string, windowMs: number): Promise<boolean>;
  /** The message was not handled: the key is free. False, and without effect: the claim is another's, or it is done. */
  release(key: string, token: string): Promise<boolean>;
  /** Calling it again is harmless. */
  close(): Promise<void>;
}

/** What a store is made with. */
export interface IdempotencyStoreEnvironment {
  readonly clock: Clock;
}

/** What `memoryIdempotencyStore()`, `sqliteIdempotencyStore({ … })`, … return: options, checked; each application makes its own store of it. */
export interface IdempotencyStoreFactory {
  readonly kind: string;
  create(environment: IdempotencyStoreEnvironment): IdempotencyStore;
}
