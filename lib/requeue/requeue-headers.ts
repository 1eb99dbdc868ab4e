import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys } from '../errors/option-checks.js';

/** Every header that begins so, in any case, belongs to the requeue service. */
export const HEADER_PREFIX = 'Requeue-';

/** What a client tells the service. Numbers of milliseconds are whole. */
export const REQUEST_HEADERS = {
  subject: 'Requeue-Subject',
  id: 'Requeue-Id',
  queue: 'Requeue-Queue',
  priority: 'Requeue-Priority',
  delay: 'Requeue-Delay',
  ttl: 'Requeue-Ttl',
  attempts: 'Requeue-Attempts',
  backoff: 'Requeue-Backoff',
  backoffInitial: 'Requeue-Backoff-Initial',
  backoffFactor: 'Requeue-Backoff-Factor',
  backoffMax: 'Requeue-Backoff-Max',
  backoffJitter: 'Requeue-Backoff-Jitter',
} as const;

/** What the service tells the subscriber. On the way in they are ignored, so that a subscriber can hand a message over again. */
export const DELIVERY_HEADERS = {
  attempt: 'Requeue-Attempt',
  id: 'Requeue-Id',
  queue: 'Requeue-Queue',
  time: 'Requeue-Time',
} as const;

/** Why a message was not taken, on the reply to it. Its value is a `RefusalCode`. */
export const ERROR_HEADER = 'Requeue-Error';
/** The headers of an error reply of NATS services; from a subscriber they mean that it has failed. */
export const SERVICE_ERROR_HEADER = 'Nats-Service-Error';
export const SERVICE_ERROR_CODE_HEADER = 'Nats-Service-Error-Code';

/** How a message is to be requeued: everything is optional. */
export interface RequeueRequestOptions {
  /** Where the message is sent to. Default: the subject it was sent on, without the prefix of the service. */
  readonly subject?: string;
  /** Default: a UUIDv7 made by the service. */
  readonly id?: string;
  /** Default `default`. */
  readonly queue?: string;
  /** 0 to 9, higher first. Default 0. */
  readonly priority?: number;
  /** Milliseconds before the message is sent. Default 0. */
  readonly delay?: number;
  /** Milliseconds, from its acceptance, after which the message is of no use. Default: never. */
  readonly ttl?: number;
  /** So often the message is sent at most. Default: for ever. */
  readonly attempts?: number;
  /** How long to wait after a failure. */
  readonly backoff?: {
    /** Default `exponential`. */
    readonly type?: 'fixed' | 'exponential';
    /** Milliseconds after the first failure. Default 1,000. */
    readonly initial?: number;
    /** Each wait is the one before times this; not for `fixed`. Default 4. */
    readonly factor?: number;
    /** No wait is longer, in milliseconds; not for `fixed`. Default 600,000. */
    readonly max?: number;
    /** Each wait is varied by up to this share, 0 to 1. Default 0.2. */
    readonly jitter?: number;
  };
}

/** What takes a header: the `MsgHdrs` of a NATS client, or a `Map`. */
export interface HeaderTarget {
  set(name: string, value: string): unknown;
}

const NAMES = ['subject', 'id', 'queue', 'priority', 'delay', 'ttl', 'attempts', 'backoff'] as const;
const BACKOFF_NAMES = ['type', 'initial', 'factor', 'max', 'jitter'] as const;

/**
 * The headers that tell the requeue service how to treat a message: as an object, or set on `target`, for example on what
 * `headers()` of a NATS client returns. The service checks their values.
 * @throws InvalidOptionError for a name that does not exist, or a value that is no text or number
 */
export function requeueHeaders(options: RequeueRequestOptions): Record<string, string>;
export function requeueHeaders<T extends HeaderTarget>(options: RequeueRequestOptions, target: T): T;
export function requeueHeaders(
  options: RequeueRequestOptions,
  target?: HeaderTarget,
): HeaderTarget | Record<string, string> {
  knownKeys('requeueHeaders', options, NAMES);
  const { backoff = {}, ...flat } = options;
  knownKeys('requeueHeaders.backoff', backoff, BACKOFF_NAMES);
  const { type, initial, factor, max, jitter } = backoff;
  const values = {
    ...flat,
    backoff: type,
    backoffInitial: initial,
    backoffFactor: factor,
    backoffMax: max,
    backoffJitter: jitter,
  };
  const record: Record<string, string> = {};
  for (const [name, value] of Object.entries(values) as [keyof typeof REQUEST_HEADERS, unknown][]) {
    if (value === undefined) continue;
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new InvalidOptionError(`requeueHeaders.${name}`, value, 'a text or a number');
    record[REQUEST_HEADERS[name]] = String(value);
  }
  if (!target) return record;
  for (const [name, value] of Object.entries(record)) target.set(name, value);
  return target;
}
