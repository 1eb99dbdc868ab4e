import { gzip } from 'node:zlib';
import { promisify } from 'node:util';

const compress = promisify(gzip);
const WORTH_IT = 1_400;

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** On each answer. */
const SAFE = {
  'content-security-policy': CSP,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

/** By answer, a body that is there as a whole: a server of Node's sends it at once, and does not read it from a stream. */
const whole = new WeakMap<Response, string | Uint8Array>();

export const wholeBody = (given: Response): string | Uint8Array | undefined => whole.get(given);

export function answer(
  status: number,
  body: string | Uint8Array | ReadableStream | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const made = new Response(body as BodyInit | null, {
    status,
    headers: { 'cache-control': 'no-store', ...SAFE, ...headers },
  });
  if (typeof body === 'string' || body instanceof Uint8Array) whole.set(made, body);
  return made;
}

export const empty = (status: number, headers?: Readonly<Record<string, string>>): Response =>
  answer(status, null, headers);

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };

export function json(status: number, value: unknown): Response {
  return answer(status, JSON.stringify(value), JSON_TYPE);
}

/** What was compressed last, by its text: many pages ask for the same. */
const packed = new Map<string, Promise<Buffer>>();
const MOST_PACKED = 8;
const MOST_KEPT_TEXT = 262_144;

/** JSON that is written already; compressed where that is accepted, and worth it. */
export async function written(text: string, accepted: string | null): Promise<Response> {
  if (text.length < WORTH_IT || !accepted?.includes('gzip')) return answer(200, text, JSON_TYPE);
  const headers = { ...JSON_TYPE, 'content-encoding': 'gzip', vary: 'accept-encoding' };
  const before = packed.get(text);
  if (before) return answer(200, await before, headers);
  const compressing = compress(text, { level: 1 });
  if (text.length <= MOST_KEPT_TEXT) {
    if (packed.size >= MOST_PACKED) packed.delete(packed.keys().next().value!);
    packed.set(text, compressing);
  }
  return answer(200, await compressing, headers);
}
