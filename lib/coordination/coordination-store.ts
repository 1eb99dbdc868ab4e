import type { Clock } from '../clock/clock.js';

/** What a change comes to. */
export type Changed<T> =
  /** The entry stays as it is, and as long as it would. */
  | { readonly result: T; readonly state?: undefined }
  /** The entry is written, and is over in `keepMs` milliseconds. */
  | { readonly result: T; readonly state: string; readonly keepMs: number }
  /** There is no entry any more. */
  | { readonly result: T; readonly state: null };

/**
 * Says what is to become of an entry: it is given its state, undefined where there is none, and the time in milliseconds
 * since the epoch, as the store has it. It only computes, for it may be called several times until others did not come first.
 */
export type Change<T> = (state: string | undefined, now: number) => Changed<T>;

/**
 * Small entries that several processes change one after the other: leases, permits, token buckets and what was done last
 * are such entries. One method carries all of them, so that a store knows nothing of what it is used for.
 *
 * The contract is `coordinationStoreContract` of `nestjs-messaging/testing`.
 */
export interface CoordinationStore {
  /** Checks at boot that the store can be used. @throws what waiting cannot cure */
  open?(): Promise<void>;
  /**
   * Changes an entry as if nobody else were there, and resolves with the result of the call of `change` that counted, once
   * what that wrote is stored. What `change` throws rejects it, without effect. Where it rejects otherwise, the entry was
   * changed as a whole or not at all.
   */
  change<T>(key: string, change: Change<T>): Promise<T>;
  /** Calling it again is harmless. */
  close(): Promise<void>;
}

/**
 * By so much the times may differ that processes are told, in milliseconds, where a store measures the clock of its server:
 * what seems to be further ahead was written before a clock was set back.
 */
export const CLOCKS_DIFFER_MS = 5_000;

/** What a store is made with. */
export interface CoordinationStoreEnvironment {
  readonly clock: Clock;
}

/** What `sqliteCoordinationStore({ … })`, … return: options, checked; each application makes its own store of it. */
export interface CoordinationStoreFactory {
  readonly kind: string;
  create(environment: CoordinationStoreEnvironment): CoordinationStore;
}
