import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { checkShortText, integerBetween, knownKeys, numberBetween, oneOf } from '../../errors/option-checks.js';
import { textResult } from '../../errors/result-checks.js';
import { header, stringHeader } from '../../message/headers.js';
import { viewOf } from '../../message/isolate.js';
import type { WireMessage } from '../../message/message.js';
import type { Concurrency, ConcurrencySurroundings } from './concurrency.js';
import { LaneSchedule } from './lane-schedule.js';
import type { Schedule, ScheduledMessage, ScheduleTools } from './schedule.js';

/** Where the key of a message is: a header, a property of its payload (`customer.id` for a nested one), or a function. */
export type PartitionKey =
  | { readonly header: string }
  | { readonly property: string }
  /**
   * A text or a number; undefined, null or an empty text: the message has no key. One that throws, or gives anything else,
   * a promise included, sends the message to its dead letters.
   */
  | ((message: WireMessage) => string | number | null | undefined);

export interface PartitionedOptions {
  /** What keeps its order. Default: the `key` that the message was published with (header `messaging-key`), or that its body says. */
  readonly key?: PartitionKey;
  /**
   * Handlers at a time, with `rabbitmq.partitions` in each partition; a key is always in the same lane. At most the
   * prefetch, which is the default.
   */
  readonly lanes?: number;
  /**
   * The longest time in milliseconds that a failed message is retried in place before it goes to its dead letters and its
   * key goes on. Less than the broker waits for an ack. Default 600,000 (ten minutes).
   */
  readonly maxHold?: number;
  /**
   * `hold`: what comes after a failed message of its key waits until that succeeds or is given up. `pass`: it does not wait;
   * the failed one is retried by a copy, out of its order. Default `hold`.
   */
  readonly onFailure?: 'hold' | 'pass';
}

const DEFAULT_MAX_HOLD_MS = 600_000;
const MAX_PREFETCH = 65_535;

/**
 * Messages of one key are handled one at a time and in the order in which the broker delivered them; different keys run
 * beside each other, at most `lanes` at a time. It holds within one process: for several, see docs/ordering.md.
 * @throws InvalidOptionError
 */
export function partitioned(options: PartitionedOptions = {}): Concurrency {
  knownKeys('partitioned', options, ['key', 'lanes', 'maxHold', 'onFailure']);
  const { lanes, maxHold, onFailure = 'hold' } = options;
  if (lanes !== undefined) integerBetween('partitioned.lanes', lanes, 1, MAX_PREFETCH);
  oneOf('partitioned.onFailure', onFailure, ['hold', 'pass']);
  if (maxHold !== undefined && onFailure === 'pass')
    throw new InvalidOptionError('partitioned.maxHold', maxHold, "nothing with onFailure: 'pass', which holds nobody");
  const longest = numberBetween('partitioned.maxHold', maxHold ?? DEFAULT_MAX_HOLD_MS, 1, 2 ** 31 - 1);
  return new Partitioned(keyReader(options.key), lanes, onFailure === 'hold' ? longest : undefined);
}

type KeyReader = NonNullable<Concurrency['keyOf']>;

class Partitioned implements Concurrency {
  readonly kind = 'partitioned';

  constructor(
    readonly keyOf: KeyReader,
    private readonly lanes: number | undefined,
    readonly maxHoldMs: number | undefined,
  ) {}

  check(surroundings: ConcurrencySurroundings): void {
    const { prefetch, delayMs, isPartitioned } = surroundings;
    if (isPartitioned && this.maxHoldMs === undefined)
      throw new InvalidOptionError(
        'partitioned.onFailure',
        'pass',
        '«hold» beside partitions, which keep the order over all processes; or leave out the partitions',
      );
    if (this.lanes !== undefined && this.lanes > prefetch)
      throw new InvalidOptionError(
        'partitioned.lanes',
        this.lanes,
        `at most the prefetch, ${prefetch}: no more messages are here at a time. Raise «prefetch» or lower «lanes»`,
      );
    if (delayMs > 0)
      throw new InvalidOptionError(
        'delay',
        delayMs,
        'nothing beside partitioned(…): each message would be put off by itself, and they could change places',
      );
    if (this.maxHoldMs !== undefined) checkHold(this.maxHoldMs, surroundings);
  }

  schedule<M extends ScheduledMessage>(tools: ScheduleTools): Schedule<M> {
    return new LaneSchedule<M>(this.lanes ?? tools.prefetch, ({ message }) => this.keyOf(message, tools));
  }
}

function checkHold(
  maxHoldMs: number,
  { ackTimeoutMs, firstRetryMs = 0, probeAfterMs = 0 }: ConcurrencySurroundings,
): void {
  if (maxHoldMs >= ackTimeoutMs)
    throw new InvalidOptionError(
      'partitioned.maxHold',
      maxHoldMs,
      `less than ${ackTimeoutMs}, the time that the broker waits for an ack before it takes all messages back`,
    );
  if (maxHoldMs < firstRetryMs)
    throw new InvalidOptionError(
      'partitioned.maxHold',
      maxHoldMs,
      `at least ${firstRetryMs}, the longest wait before the first retry, or failed messages would be given up without one. Raise «maxHold», or make the backoff of «retry» shorter`,
    );
  if (maxHoldMs <= probeAfterMs)
    throw new InvalidOptionError(
      'killSwitch.probeAfter',
      probeAfterMs,
      `less than «maxHold» of partitioned(…), ${maxHoldMs}: what is held when the switch trips would go to the dead letters at its first probe. Lower «probeAfter» or raise «maxHold»`,
    );
}

function keyReader(key?: PartitionKey): KeyReader {
  if (key === undefined) return (message, tools) => headerOf(message, header.key) ?? tools.keyOf(message);
  if (typeof key === 'function') return (message) => textResult('«partitioned.key»', key(viewOf(message)));
  if (typeof key !== 'object' || key === null)
    throw new InvalidOptionError('partitioned.key', key, '{ header }, { property } or a function');
  knownKeys('partitioned.key', key, ['header', 'property']);
  if ('header' in key) {
    const name = checkShortText('partitioned.key.header', key.header);
    return (message) => headerOf(message, name);
  }
  const name = checkShortText('partitioned.key.property', key.property);
  const path = name.split('.');
  return (message, tools) => textOf(`The property «${name}»`, propertyOf(message, path, tools));
}

function headerOf({ headers }: WireMessage, name: string): string | undefined {
  return stringHeader(headers, name) ?? textOf(`The header «${name}»`, headers[name]);
}

/** A payload that cannot be read has no key: its handling ends before the handler. */
function propertyOf(message: WireMessage, path: readonly string[], tools: Pick<ScheduleTools, 'decode'>): unknown {
  let value: unknown;
  try {
    value = tools.decode(message);
  } catch {
    return undefined;
  }
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** What cannot be compared must not pass for no key: its messages would change places in silence. */
function textOf(source: string, value: unknown): string | undefined {
  return typeof value === 'boolean' ? String(value) : textResult(source, value);
}
