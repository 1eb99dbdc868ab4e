import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { RetryPolicy } from '../retry/retry-policy.js';
import type { IdempotencyStoreFactory } from './idempotency-store.js';

/** How a subscription recognises messages that come again. */
export interface IdempotentOptions {
  /**
   * Milliseconds for which a handled message is remembered. At least as long as a message can be retried, or its duplicate
   * could come after it is forgotten; the time until a redrive counts too, but is not known here. Default 86,400,000 (a day).
   */
  readonly window?: number;
  /** Milliseconds after which the key of a message is free again when its process has died. Renewed while a handler runs. Default 30,000. */
  readonly lease?: number;
  /** Where it is remembered. Default: the module's `idempotencyStore`. */
  readonly store?: IdempotencyStoreFactory;
  /** What makes two messages the same; undefined: handled without a check. Default: the message's id. */
  readonly key?: (context: MessageContext) => string | undefined;
  /** Asked before the handler, with the key claimed: true, and the message was handled already, says the application. */
  readonly isDone?: (context: MessageContext) => boolean | Promise<boolean>;
}

/** The options with every default filled in. */
export interface IdempotentDefinition {
  readonly windowMs: number;
  readonly leaseMs: number;
  readonly store: IdempotencyStoreFactory;
  readonly key: (context: MessageContext) => string | undefined;
  readonly isDone: IdempotentOptions['isDone'];
}

const DAY_MS = 86_400_000;
const LONGEST_WINDOW_MS = 3_650 * DAY_MS;
const LONGEST_LEASE_MS = 2 ** 31 - 1;

/** Checks the options and fills in the defaults. @throws InvalidOptionError */
export function defineIdempotent(
  options: true | IdempotentOptions,
  retry: RetryPolicy,
  defaultStore: IdempotencyStoreFactory,
): IdempotentDefinition {
  const given = options === true ? {} : options;
  if (typeof given !== 'object' || given === null)
    throw new InvalidOptionError('idempotent', given, 'true, false, or { window?, lease?, store?, key?, isDone? }');
  knownKeys('idempotent', given, ['window', 'lease', 'store', 'key', 'isDone']);
  const { window = DAY_MS, lease = 30_000, store = defaultStore, key = idOf, isDone } = given;
  checkFunction('idempotent.key', key);
  if (isDone !== undefined) checkFunction('idempotent.isDone', isDone);
  checkIdempotencyStore('idempotent.store', store);
  const windowMs = numberBetween('idempotent.window', window, 1, LONGEST_WINDOW_MS);
  checkWindow(windowMs, retry);
  return { windowMs, leaseMs: numberBetween('idempotent.lease', lease, 100, LONGEST_LEASE_MS), store, key, isDone };
}

/** @throws InvalidOptionError */
export function checkIdempotencyStore(option: string, store: IdempotencyStoreFactory): IdempotencyStoreFactory {
  if (typeof store !== 'object' || store === null || typeof store.create !== 'function')
    throw new InvalidOptionError(option, store, 'memoryIdempotencyStore() or sqliteIdempotencyStore({ file })');
  return store;
}

function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') throw new InvalidOptionError(option, value, 'a function');
}

/** A duplicate that is still being retried when its original is forgotten would be handled a second time. */
function checkWindow(windowMs: number, retry: RetryPolicy): void {
  const waits = retry.longestWaits();
  if (!waits) return;
  const sum = waits.reduce((total, wait) => total + wait, 0);
  if (windowMs >= sum) return;
  const shown = waits.length > 10 ? [...waits.slice(0, 9), '…', waits.at(-1)] : waits;
  throw new InvalidOptionError(
    'idempotent.window',
    windowMs,
    `${sum} or more, the longest time that a message can be retried (${shown.join(' + ')} = ${sum} ms), and the time until dead letters are redriven on top. Make it longer, or «retry» shorter`,
  );
}

function idOf({ id }: MessageContext): string | undefined {
  return id === '' ? undefined : id;
}
