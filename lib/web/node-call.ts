import type { IncomingMessage, ServerResponse } from 'node:http';
import { wholeBody } from './answers.js';
import { Refusal } from './refusal.js';
import type { WebCall } from './request-checks.js';

/** A request as Express and Fastify have it; Fastify's has Node's own inside. */
export interface PlatformRequest {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly params?: unknown;
  readonly body?: unknown;
  readonly raw?: IncomingMessage;
  readonly originalUrl?: string;
  readonly url?: string;
  readonly user?: unknown;
}

/** A response as Express and Fastify have it. */
export interface PlatformResponse {
  readonly raw?: ServerResponse;
  hijack?(): unknown;
}

export function callOf(request: PlatformRequest, names: readonly string[]): WebCall {
  const { method, headers, raw = request as unknown as IncomingMessage } = request;
  const params = (request.params ?? {}) as Record<string, string | undefined>;
  const [path, search] = (request.originalUrl ?? request.url ?? '').split('?', 2);
  const encrypted = (raw.socket as { readonly encrypted?: boolean }).encrypted === true;
  return {
    method,
    segments: names.flatMap((name) => params[name] || []),
    search: new URLSearchParams(search),
    inFolder: path.endsWith('/'),
    secure: encrypted || headers['x-forwarded-proto'] === 'https',
    header: (name) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : (value ?? null);
    },
    body: (most) => bodyOf(request, raw, most),
    request,
  };
}

/** Who comes first reads the body: a parser of the application, or this. */
async function bodyOf({ body, headers }: PlatformRequest, raw: IncomingMessage, most: number): Promise<string> {
  if (Number(headers['content-length']) > most) throw new Refusal(413, `More than ${most} bytes`);
  if (Buffer.isBuffer(body)) return body.toString();
  if (body !== undefined && body !== null) return typeof body === 'string' ? body : JSON.stringify(body);
  if (raw.readableEnded || !raw.readable) return '';
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of raw as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > most) throw new Refusal(413, `More than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** Sends an answer as it is: nothing that other parts of the application have said of other sites goes with it. */
export async function send(response: PlatformResponse, answer: Response, method: string): Promise<void> {
  response.hijack?.();
  const raw = response.raw ?? (response as unknown as ServerResponse);
  for (const name of raw.getHeaderNames()) if (name.startsWith('access-control-')) raw.removeHeader(name);
  raw.statusCode = answer.status;
  answer.headers.forEach((value, name) => raw.setHeader(name, value));
  const body = wholeBody(answer);
  if (body !== undefined) {
    raw.setHeader('content-length', Buffer.byteLength(body));
    raw.end(method === 'HEAD' ? undefined : body);
    return;
  }
  if (!answer.body || method === 'HEAD') {
    await answer.body?.cancel();
    raw.end();
    return;
  }
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  raw.once('close', () => void reader.cancel().catch(() => undefined));
  raw.flushHeaders();
  for (let part = await reader.read(); !part.done; part = await reader.read())
    if (!raw.write(part.value)) await drained(raw);
  raw.end();
}

function drained(raw: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      raw.off('drain', done);
      raw.off('close', done);
      resolve();
    };
    raw.once('drain', done);
    raw.once('close', done);
    if (raw.destroyed) done();
  });
}
