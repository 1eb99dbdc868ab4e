import { createHash, randomFillSync } from 'node:crypto';
import type { WireMessage } from './message.js';

/** `xxxxxxxx-xxxx-7xxx-yxxx-xxxxxxxxxxxx` in ASCII; only the digits change. */
const text = Buffer.from('00000000-0000-7000-8000-000000000000');
const digits = Buffer.from('0123456789abcdef');
/** Where the two digits of each random byte go; the first of bytes 0 and 2 shares its place with version and variant. */
const places = [14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
/** Random bytes are cheap in bulk only. */
const pool = Buffer.alloc(places.length * 256);
let used = pool.length;
let writtenTime = -1;

/** A UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 random bits, so that ids sort by their time. */
export function newMessageId(now: number): string {
  if (now !== writtenTime) writeTime(now);
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (const place of places) {
    const byte = pool[used++];
    text[place] = digits[byte >> 4];
    text[place + 1] = digits[byte & 15];
  }
  text[14] = 0x37; // «7», the version
  text[19] = digits[8 + (pool[used - 8] >> 6)];
  return text.toString('latin1');
}

function writeTime(now: number): void {
  const hex = Math.trunc(now).toString(16).padStart(12, '0');
  text.write(`${hex.slice(0, 8)}-${hex.slice(8, 12)}`, 'latin1');
  writtenTime = now;
}

/** What tells one message from another: an id alone does not, publishers may use one twice. */
export function messageDigest({ route, body, headers }: WireMessage): string {
  const told = JSON.stringify(headers, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return createHash('sha256').update(`${route}\0${told}\0`).update(body).digest('base64');
}
