import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { integerBetween, knownKeys, numberBetween } from '../../errors/option-checks.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import type { Concurrency } from '../schedule/concurrency.js';

/** What the calls of a subscription are limited to, over all processes: a `rate` with its time, a `concurrency`, or both. */
export interface LimitOptions {
  /** The most handler calls that begin in any stretch of `per`; 1…1,000,000. */
  readonly rate?: number;
  /** The time of the `rate`, in milliseconds; 10…86,400,000. */
  readonly per?: number;
  /** The most handler calls that run at a time; 1…1,000. That of a process that died is free after 15 seconds. */
  readonly concurrency?: number;
  /**
   * Messages of different keys have limits of their own: a text or a number; undefined, null or an empty text: not limited.
   * Anything else sends the message to its dead letters (`INVALID_RESULT`). Default: all share one.
   */
  readonly key?: (context: MessageContext) => string | number | null | undefined;
}

/** The options, checked. */
export interface LimitDefinition {
  readonly rate: number | undefined;
  readonly perMs: number;
  readonly concurrency: number | undefined;
  readonly key: LimitOptions['key'];
}

/** @throws InvalidOptionError */
export function defineLimit(options: LimitOptions, order: Concurrency): LimitDefinition {
  knownKeys('limit', options, ['rate', 'per', 'concurrency', 'key']);
  const { rate, per, concurrency, key } = options;
  if (rate === undefined && per === undefined && concurrency === undefined)
    throw new InvalidOptionError('limit', options, '{ rate, per }, { concurrency }, or both');
  if ((rate === undefined) !== (per === undefined))
    throw new InvalidOptionError(
      rate === undefined ? 'limit.rate' : 'limit.per',
      undefined,
      '«rate» and «per» together: { rate: 100, per: 60_000 } is a hundred calls a minute',
    );
  if (key !== undefined && typeof key !== 'function') throw new InvalidOptionError('limit.key', key, 'a function');
  if (order.maxHoldMs !== undefined)
    throw new InvalidOptionError(
      'limit',
      options,
      "left out beside partitioned(…), which keeps the order of a key: a message that waits for its turn would lose its place. Give partitioned({ onFailure: 'pass' }), or another «concurrency»",
    );
  return {
    rate: rate === undefined ? undefined : integerBetween('limit.rate', rate, 1, 1_000_000),
    perMs: per === undefined ? 1_000 : numberBetween('limit.per', per, 10, 86_400_000),
    concurrency: concurrency === undefined ? undefined : integerBetween('limit.concurrency', concurrency, 1, 1_000),
    key,
  };
}
