import type { Clock } from '../../clock/clock.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';

/** Options of a memory broker. */
export interface MemoryBrokerOptions {
  /** Where the broker gets the time from. Default: the clock of the first application that connects. */
  readonly clock?: Clock;
  /** The most ready messages per queue; a publish above fails and is retried by the publisher. Default 1 000 000. */
  readonly maxMessages?: number;
  /** The largest body in bytes. Default 16 MiB. */
  readonly maxBytes?: number;
}

declare module '../../transport/broker-options.js' {
  interface BrokerOptions {
    /** Options of the memory broker for this queue. */
    readonly memory?: MemorySubscriptionOptions;
  }
}

/** What `memory: {…}` of a subscription takes. */
export interface MemorySubscriptionOptions {
  /** The most ready messages of this queue. Default: the transport's. */
  readonly maxMessages?: number;
}

export const DEFAULT_MAX_MESSAGES = 1_000_000;
export const DEFAULT_MAX_BYTES = 16 * 2 ** 20;
/** The topic of those who name none. */
export const DEFAULT_TOPIC = 'events';

/** Throws InvalidOptionError unless the value is a whole number of at least `min`. */
export function requireInteger(option: string, value: unknown, min: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return value;
  throw new InvalidOptionError(option, value, `a whole number of at least ${min}`);
}
