import { createHash } from 'node:crypto';
import type { WireMessage } from '../../message/message.js';

/** What tells one message from another: an id alone does not, publishers may use one twice. */
export function messageDigest({ route, body, headers }: WireMessage): string {
  const told = JSON.stringify(headers, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return createHash('sha256').update(`${route}\0${told}\0`).update(body).digest('base64');
}
