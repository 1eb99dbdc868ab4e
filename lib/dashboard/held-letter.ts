import { createHash } from 'node:crypto';
import type { DeadLetter } from '../dead-letter/dead-letter.js';
import { redactCredentials } from '../errors/redact.js';
import { isSecretName } from '../errors/secret-names.js';
import { header, type Headers, type HeaderValue } from '../message/headers.js';

/** Where a dead letter was seen. */
export type LetterPlace = 'archive' | 'queue' | 'publisher';

/** A dead letter as the dashboard holds it: without secrets in its headers and error, perhaps without its body. */
export interface HeldLetter {
  /** A hash of all that tells dead letters apart, the same wherever it is seen. */
  readonly key: string;
  readonly place: LetterPlace;
  readonly letter: DeadLetter;
  /** Of the body, whether it is held or not. */
  readonly bytes: number;
  /** In an archive: its place and key there. */
  readonly archived?: { readonly seq: number; readonly key: string; readonly at: number };
}

export const HIDDEN = '‹hidden›';
const SECRET_HEADER = /^(proxy-)?authorization$|cookie|api[-_]?key/i;
const MAX_MESSAGE = 4_000;
const MAX_HEADER = 2_000;
const MAX_HEADERS = 200;
export const NO_BODY = Buffer.alloc(0);

export function letterKey({
  id,
  deadLetterQueue,
  route,
  reason,
  error,
  attempts,
  time,
  origin,
  body,
}: DeadLetter): string {
  const told = [id, deadLetterQueue, route, reason, error.class, error.message, attempts, time, origin.queue];
  return createHash('sha256').update(JSON.stringify(told)).update(body).digest('base64url').slice(0, 22);
}

/** Told apart by what they hold, in no order. */
export function fingerprintOf(held: readonly HeldLetter[]): string {
  const keys = held.map(({ key }) => key).sort();
  return createHash('sha256').update(keys.join('\n')).digest('base64url').slice(0, 22);
}

export function holdLetter(
  letter: DeadLetter,
  place: LetterPlace,
  options: { readonly body: boolean; readonly secrets: boolean; readonly archived?: HeldLetter['archived'] },
): HeldLetter {
  const { error, body } = letter;
  const { stack, ...told } = error;
  return {
    key: letterKey(letter),
    place,
    bytes: body.length,
    letter: {
      ...letter,
      body: options.body ? body : NO_BODY,
      headers: shownHeaders(letter.headers, options.secrets),
      error: {
        ...told,
        message: redactCredentials(shortened(error.message, MAX_MESSAGE)),
        ...(options.body && stack !== undefined && { stack: redactCredentials(shortened(stack, 4 * MAX_MESSAGE)) }),
      },
    },
    ...(options.archived && { archived: options.archived }),
  };
}

/** The stack is told with the error. */
function shownHeaders(headers: Headers, secrets: boolean): Headers {
  const shown = Object.entries(headers)
    .filter(([name, value]) => name !== header.errorStack && value !== undefined)
    .slice(0, MAX_HEADERS)
    .map(([name, value]) => [name, shownValue(name, value, secrets)] as const);
  return Object.fromEntries(shown);
}

function shownValue(name: string, value: HeaderValue, secrets: boolean): HeaderValue {
  if (!secrets && (SECRET_HEADER.test(name) || isSecretName(name))) return HIDDEN;
  if (typeof value === 'string') return redactCredentials(shortened(value, MAX_HEADER));
  if (typeof value !== 'object' || value === null) return value;
  return redactCredentials(shortened(textOfValue(value, secrets), MAX_HEADER));
}

function textOfValue(value: object, secrets: boolean): string {
  if (value instanceof Uint8Array) return secrets ? Buffer.from(value).toString('hex') : `‹${value.length} bytes›`;
  try {
    const hide = (name: string, part: unknown): unknown =>
      !secrets && name !== '' && isSecretName(name) ? HIDDEN : part;
    return JSON.stringify(value, hide) ?? '';
  } catch {
    return '‹a value that has no text›';
  }
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text;
}
