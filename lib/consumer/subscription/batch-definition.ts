import { InvalidOptionError, SubscriptionConflictError } from '../../errors/configuration-errors.js';
import { answersNobody } from '../../request/answer-options.js';
import { integerBetween, numberBetween } from '../../errors/option-checks.js';
import { handlersAtATime, unbounded } from '../schedule/concurrency.js';
import {
  checkOptionNames,
  defineSubscription,
  OPTION_NAMES,
  type SubscriptionDefaults,
  type SubscriptionDefinition,
} from './subscription-definition.js';
import type { SubscribeBatchRequest } from './subscription-options.js';

/** A subscription whose messages are handled in batches, with everything decided. */
export interface BatchDefinition extends SubscriptionDefinition {
  readonly batch: {
    /** Messages of a full batch. */
    readonly size: number;
    /** The longest time that the first message of a batch waits for others. */
    readonly maxWaitMs: number;
    /** Batches that are handled at a time, those that are not full included. */
    readonly limit: number;
  };
}

const MAX_PREFETCH = 65_535;
const DEFAULT_MAX_WAIT_MS = 1_000;
const LONGEST = 2 ** 31 - 1;
const NAMES = ['size', 'maxWait', ...OPTION_NAMES.filter((name) => !['handles', 'routeBy', 'answers'].includes(name))];

/** Decides and checks every option of a batch subscription. @throws InvalidOptionError @throws SubscriptionConflictError */
export function defineBatchSubscription(
  request: SubscribeBatchRequest,
  defaults: SubscriptionDefaults,
): BatchDefinition {
  for (const name of ['handles', 'routeBy'] as const)
    if (name in request)
      throw new SubscriptionConflictError(
        `«${name}» tells handlers apart that share a queue, and a batch has one handler. Give each handler a queue of its own by another «name», or choose by «context.entries» in the handler`,
      );
  checkOptionNames(request, NAMES, defaults.system);
  const { size, maxWait = DEFAULT_MAX_WAIT_MS, ...options } = request;
  integerBetween('size', size, 1, MAX_PREFETCH);
  numberBetween('maxWait', maxWait, 0, LONGEST);
  const { ackTimeoutMs = Infinity } = defaults;
  if (maxWait >= ackTimeoutMs)
    throw new InvalidOptionError(
      'maxWait',
      maxWait,
      `less than ${ackTimeoutMs}, the time that the broker waits for an ack before it takes all messages back`,
    );
  const { concurrency = unbounded() } = options;
  const bound = handlersAtATime(concurrency);
  if (bound === undefined)
    throw new InvalidOptionError(
      'concurrency',
      concurrency.kind,
      'bounded(n) or unbounded() beside a batch, where they count batches: another order of messages, such as partitioned(…), needs @Subscribe, which handles them one by one',
    );
  const prefetch = prefetchFor(options.prefetch, size, bound);
  const definition = defineSubscription({ ...options, prefetch }, defaults);
  const limit = bound === Infinity ? Math.floor(prefetch / size) : bound;
  // Every message may come as far as into its batch; batches are counted there.
  return {
    ...definition,
    concurrency: unbounded(),
    answers: answersNobody('a handler of batches (@SubscribeBatch) answers nobody'),
    batch: { size, maxWaitMs: maxWait, limit },
  };
}

/** Room for every batch that may be handled at a time; unless told, for another one that is gathered meanwhile. */
function prefetchFor(wanted: number | undefined, size: number, bound: number): number {
  const sideBySide = bound === Infinity ? 1 : bound;
  const least = size * sideBySide;
  const batches = sideBySide === 1 ? `the «size» of a batch` : `${sideBySide} batches of ${size} side by side`;
  if (least > MAX_PREFETCH)
    throw new InvalidOptionError(
      'size',
      size,
      `at most ${Math.floor(MAX_PREFETCH / sideBySide)} with bounded(${bound}), since no more than ${MAX_PREFETCH} messages are here at a time. Lower «size» or the bound`,
    );
  if (wanted === undefined) return Math.min(MAX_PREFETCH, least + size);
  if (Number.isInteger(wanted) && wanted > 0 && wanted < least)
    throw new InvalidOptionError(
      'prefetch',
      wanted,
      `at least ${least}, ${batches}: no more messages are here at a time. Raise «prefetch», lower ${sideBySide === 1 ? '«size»' : '«size» or the bound'}, or leave «prefetch» out`,
    );
  return wanted;
}
