/**
 * What a header can hold. Numbers are finite, objects plain. A `Date` is published as its ISO 8601 text and arrives as such;
 * one that arrives as a `Date` is a timestamp of a foreign client.
 */
export type HeaderValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | Uint8Array
  | Date
  | readonly HeaderValue[]
  | { readonly [name: string]: HeaderValue };

export type Headers = Readonly<Record<string, HeaderValue>>;

/** Every header of ours starts with this; applications cannot set one. */
export const HEADER_PREFIX = 'messaging-';

/** The headers that travel with a message (the list for readers is docs/wire.md). Times are milliseconds since the epoch. */
export const header = {
  /** Number of the handler call this copy is meant for. Honoured on the group's private address only. */
  attempt: 'messaging-attempt',
  /** Messages of one key keep their order. */
  key: 'messaging-key',
  /** When the message was first published. */
  time: 'messaging-time',
  /** After this time no handler is called any more. */
  expiresAt: 'messaging-expires-at',
  /** Before this time no handler is called. */
  notBefore: 'messaging-not-before',
  /** The message is suspected of ending its process: so many calls alone it was sent on for. Honoured as the attempt is. */
  suspect: 'messaging-suspect',
  /** Version of this list. */
  version: 'messaging-version',
  /** Why the message is a dead letter. */
  reason: 'messaging-reason',
  errorClass: 'messaging-error-class',
  errorCode: 'messaging-error-code',
  errorMessage: 'messaging-error-message',
  errorStack: 'messaging-error-stack',
  /** Where a copy (retry, delay, dead letter) came from. */
  originTopic: 'messaging-origin-topic',
  originRoute: 'messaging-origin-route',
  originQueue: 'messaging-origin-queue',
  originTime: 'messaging-origin-time',
  originService: 'messaging-origin-service',
  originHost: 'messaging-origin-host',
} as const;

/** Those of requests and their replies. */
export const requestHeader = {
  /** Until then whoever asked waits for the reply. */
  deadline: 'messaging-deadline',
  /** The correlation id of what the request was sent for; its own is that of its reply. */
  correlation: 'messaging-correlation-id',
  /** The message is the reply to a request that failed: its body says how. */
  error: 'messaging-error',
  /** Whoever asked takes one reply of each responder, which says who it is. */
  gather: 'messaging-gather',
  /** The queue of the responder. */
  responder: 'messaging-responder',
} as const;

export const WIRE_VERSION = 1;

/** The header as a whole number within the bounds, or undefined when it is missing, malformed or outside of them. */
export function integerHeader(headers: Headers, name: string, min: number, max: number): number | undefined {
  const raw = headers[name];
  const value = typeof raw === 'string' && /^\d{1,16}$/.test(raw) ? Number(raw) : raw;
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined;
}

/** The header as a non-empty string, or undefined. */
export function stringHeader(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
