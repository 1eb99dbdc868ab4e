import { randomUUID } from 'node:crypto';

let prefixTime = -1;
let prefix = '';

/** A UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 random bits, so that ids sort by their time. */
export function newMessageId(now: number): string {
  if (now !== prefixTime) {
    const hex = Math.trunc(now).toString(16).padStart(12, '0');
    prefix = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7`;
    prefixTime = now;
  }
  return prefix + randomUUID().slice(15);
}
