import type { Headers } from '../message/headers.js';

/** Options of one request. */
export interface RequestOptions {
  /** Milliseconds to wait for the reply; after them no handler begins with the request. Default 10,000. */
  readonly timeout?: number;
  /** Gives the request up: it rejects with the signal's reason. A handler that has begun is not told. */
  readonly signal?: AbortSignal;
  /** Application headers, as of a publish. */
  readonly headers?: Headers;
  /** Messages of one key keep their order. */
  readonly key?: string;
  /** The message's priority at the broker: 0…255, higher first where the queue goes by it. Default: none. */
  readonly priority?: number;
  /** Where to publish (RabbitMQ: the exchange). Default: the transport's. */
  readonly topic?: string;
  /** Without a connection wait for it, within the timeout, instead of rejecting with NotConnectedError. The body must stay as it is until then. Default false. */
  readonly queue?: boolean;
}

/** Options of a request that several answer. */
export interface RepliesOptions extends RequestOptions {
  /** It ends after so many replies, before its timeout is over. 1…10,000; default 1,000. */
  readonly max?: number;
}

export const DEFAULT_REPLIES = 1_000;
export const MAX_REPLIES = 10_000;

export const REQUEST_OPTION_NAMES: readonly (keyof RequestOptions)[] = [
  'timeout',
  'signal',
  'headers',
  'key',
  'priority',
  'topic',
  'queue',
];

export const DEFAULT_TIMEOUT_MS = 10_000;
export const MAX_TIMEOUT_MS = 2 ** 31 - 1;
