import { Refusal } from './refusal.js';

const MAX_BODY = 65_536;

/** A request, wherever it came from. */
export interface WebCall {
  readonly method: string;
  /** What comes behind the path of the dashboard, decoded. */
  readonly segments: readonly string[];
  readonly search: URLSearchParams;
  /** The address ends in a slash. */
  readonly inFolder: boolean;
  readonly secure: boolean;
  header(name: string): string | null;
  /** At most so many bytes of the body. @throws Refusal where there are more */
  body(most: number): Promise<string>;
  /** What `access` and `operator` are given. */
  readonly request: unknown;
}

/** Only the page itself may act: no other site, and no form. @throws Refusal */
export function checkSameOrigin(call: WebCall): void {
  const site = call.header('sec-fetch-site');
  const isSame = site === null ? isHost(call.header('origin'), call) : site === 'same-origin';
  if (!isSame) throw new Refusal(403, 'Refused: Sec-Fetch-Site or Origin is not that of this page');
  if (call.header('x-nestjs-messaging') !== '1')
    throw new Refusal(403, 'Refused without the header x-nestjs-messaging: 1');
}

/** @throws Refusal */
export async function readBody(call: WebCall): Promise<Record<string, unknown>> {
  if (!/^application\/json\b/i.test(call.header('content-type') ?? ''))
    throw new Refusal(415, 'The content-type has to be application/json');
  const text = await call.body(MAX_BODY);
  let value: unknown;
  try {
    value = text === '' ? {} : JSON.parse(text);
  } catch {
    throw new Refusal(400, 'The body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refusal(400, 'The body has to be an object of JSON');
  return value as Record<string, unknown>;
}

function isHost(origin: string | null, call: WebCall): boolean {
  if (origin === null) return false;
  try {
    return new URL(origin).host === call.header('host');
  } catch {
    return false;
  }
}
