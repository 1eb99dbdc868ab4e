import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { systemClock, type Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { functions, integerBetween, knownKeys } from '../errors/option-checks.js';
import { type Backoff, exponential } from '../retry/backoff.js';
import { type RefusalCode, REFUSALS, RequeueRefusedError } from './refusal.js';
import { ERROR_HEADER, SERVICE_ERROR_HEADER } from './requeue-headers.js';

export interface RequestRetryOptions {
  /** So many requests at most, the first included. Default 5. */
  readonly times?: number;
  /** How long to wait after a failed request; `false` ends it. Default `exponential({ initial: 100, max: 5_000 })`. */
  readonly backoff?: Backoff;
  /** Milliseconds for each reply. Default 2,000. */
  readonly timeout?: number;
  readonly headers?: MsgHdrs;
  /** For tests. Default `systemClock`. */
  readonly clock?: Clock;
}

const NAMES = ['times', 'backoff', 'timeout', 'headers', 'clock'];

/** What a further request cannot cure, by the names of the client's errors. */
const FINAL = new Set([
  'ClosedConnectionError',
  'DrainingConnectionError',
  'InvalidArgumentError',
  'InvalidSubjectError',
  'PermissionViolationError',
]);

/**
 * A request that is made again when nobody replies, in time or at all, and when the requeue service cannot take the message
 * now. Resolves with the reply. A message that was taken but whose reply was lost is handed over twice: give it an id.
 * @throws RequeueRefusedError when the service does not take the message; the client's last error otherwise; InvalidOptionError
 */
export async function requestWithRetry(
  connection: Pick<NatsConnection, 'request'>,
  subject: string,
  payload: Uint8Array | string,
  options: RequestRetryOptions = {},
): Promise<Msg> {
  knownKeys('requestWithRetry', options, NAMES);
  const { backoff = exponential({ initial: 100, max: 5_000 }), headers, clock = systemClock } = options;
  const times = integerBetween('times', options.times ?? 5, 1, Number.MAX_SAFE_INTEGER);
  const timeout = integerBetween('timeout', options.timeout ?? 2_000, 1, 2 ** 31 - 1);
  functions('backoff', [backoff], 'a function, as exponential({…}) and fixed(ms) make it');
  for (let attempt = 1; ; attempt++) {
    try {
      const reply = await connection.request(subject, payload, { timeout, headers });
      throwRefusal(reply);
      return reply;
    } catch (error) {
      if (attempt >= times || !canBeCured(error)) throw error;
      const wait = backoff(attempt, error);
      if (wait === false) throw error;
      await sleep(clock, wait);
    }
  }
}

function throwRefusal({ headers }: Msg): void {
  const code = headers?.get(ERROR_HEADER);
  if (code && code in REFUSALS)
    throw new RequeueRefusedError(code as RefusalCode, headers!.get(SERVICE_ERROR_HEADER) || code);
}

function canBeCured(error: unknown): boolean {
  if (error instanceof RequeueRefusedError) return error.retryable;
  const { name, cause } = (error ?? {}) as { name?: string; cause?: { name?: string } };
  return !FINAL.has(name ?? '') && !FINAL.has(cause?.name ?? '');
}
