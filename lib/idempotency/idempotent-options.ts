import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { RetryPolicy } from '../retry/retry-policy.js';
import type { IdempotencyStoreFactory } from './idempotency-store.js';

/** How a subscription recognises messages that come again. */
export interface IdempotentOptions {
  /**
   * Milliseconds for which a handled message is remembered. At least as long as a message can be retried and then wait as a
   * dead letter (`redriveWithin`), or its duplicate could come after it is forgotten. Default 86,400,000 (a day).
   */
  readonly window?: number;
  /**
   * How long a dead letter of the subscription may lie until it is redriven, in milliseconds: what the dead-letter queue
   * keeps has no end, so only its operator knows. The `window` has to cover it. Default 0: not counted.
   */
  readonly redriveWithin?: number;
  /** Milliseconds after which the key of a message is free again when its process has died. Renewed while a handler runs. Default 30,000. */
  readonly lease?: number;
  /** Where it is remembered. Default: the module's `idempotencyStore`. */
  readonly store?: IdempotencyStoreFactory;
  /**
   * What makes two messages the same, a text or a number; undefined, null or an empty text: handled without a check.
   * Anything else, a promise included, sends the message to its dead letters (`INVALID_RESULT`). Default: the message's id.
   */
  readonly key?: (context: MessageContext) => string | number | null | undefined;
  /** Asked before the handler, with the key claimed: true, and the message was handled already, says the application. */
  readonly isDone?: (context: MessageContext) => boolean | Promise<boolean>;
}

/** The options with every default filled in. */
export interface IdempotentDefinition {
  readonly windowMs: number;
  readonly leaseMs: number;
  readonly store: IdempotencyStoreFactory;
  readonly key: NonNullable<IdempotentOptions['key']>;
  readonly isDone: IdempotentOptions['isDone'];
}

const DAY_MS = 86_400_000;
const LONGEST_WINDOW_MS = 3_650 * DAY_MS;
const LONGEST_LEASE_MS = 2 ** 31 - 1;

/** Checks the options and fills in the defaults; `dlq`: it has dead letters. @throws InvalidOptionError */
export function defineIdempotent(
  options: true | IdempotentOptions,
  retry: RetryPolicy,
  defaultStore: IdempotencyStoreFactory,
  dlq = true,
): IdempotentDefinition {
  const given = options === true ? {} : options;
  if (typeof given !== 'object' || given === null)
    throw new InvalidOptionError(
      'idempotent',
      given,
      'true, false, or { window?, redriveWithin?, lease?, store?, key?, isDone? }',
    );
  knownKeys('idempotent', given, ['window', 'redriveWithin', 'lease', 'store', 'key', 'isDone']);
  const { window = DAY_MS, redriveWithin = 0, lease = 30_000, store = defaultStore, key = idOf, isDone } = given;
  checkFunction('idempotent.key', key);
  if (isDone !== undefined) checkFunction('idempotent.isDone', isDone);
  checkIdempotencyStore('idempotent.store', store);
  const windowMs = numberBetween('idempotent.window', window, 1, LONGEST_WINDOW_MS);
  const redriveMs = numberBetween('idempotent.redriveWithin', redriveWithin, 0, LONGEST_WINDOW_MS);
  if (redriveMs > 0 && !dlq)
    throw new InvalidOptionError(
      'idempotent.redriveWithin',
      redriveMs,
      'left out with «dlq: false»: there are no dead letters to be redriven',
    );
  checkWindow(windowMs, redriveMs, retry);
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

/** A duplicate that is retried or redriven when its original is forgotten would be handled a second time. */
function checkWindow(windowMs: number, redriveMs: number, retry: RetryPolicy): void {
  // What a function of the application's own says nobody can know here.
  const waits = retry.longestWaits() ?? [];
  const retries = waits.reduce((total, wait) => total + wait, 0);
  const sum = retries + redriveMs;
  if (windowMs >= sum) return;
  const shown = waits.length > 10 ? [...waits.slice(0, 9), '…', waits.at(-1)] : waits;
  const arithmetic = waits.length === 0 ? 'none is known' : `${shown.join(' + ')} = ${retries} ms`;
  const retried = `the longest time that a message can be retried (${arithmetic})`;
  const meaning =
    redriveMs === 0
      ? `${retried}, and the time until dead letters are redriven on top`
      : `${retried} and then wait as a dead letter («redriveWithin», ${redriveMs} ms)`;
  const remedy = redriveMs === 0 ? '«retry» shorter' : '«retry» or «redriveWithin» shorter';
  throw new InvalidOptionError(
    'idempotent.window',
    windowMs,
    `${sum} or more, ${meaning}. Make it longer, or ${remedy}`,
  );
}

function idOf({ id, decoded }: MessageContext): string | undefined {
  return decoded?.sameAs ?? (id === '' ? undefined : id);
}
