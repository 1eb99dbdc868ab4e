import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Random } from '../fault/random.js';

export type Fault = 'cut before' | 'answer lost' | 'unavailable' | 'entries failed' | 'entries unnamed';
const faults: readonly Fault[] = ['cut before', 'answer lost', 'unavailable', 'entries failed', 'entries unnamed'];

/** Stands before an emulator, and does to requests what a network and a busy service do. */
export class FaultyProxy {
  /** How many of each were made. */
  readonly made = new Map<Fault, number>();
  /** By what was asked for (`SendMessageBatch`), how many entries each request had. */
  readonly entries = new Map<string, number[]>();
  /** Of requests, 0 to 1, that something happens to. */
  rate = 0;
  /** What happens once, to the next request of this kind. */
  next?: { readonly request: string; readonly fault: Fault };
  private readonly random: Random;

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  static async start(target: string, seed: number): Promise<FaultyProxy> {
    const proxy: FaultyProxy = new FaultyProxy(
      createServer((request, response) => void proxy.handle(request, response)),
      new URL(target),
      seed,
    );
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    const text = body.toString();
    const batch = jsonBatch(request, text) ?? snsBatch(text);
    if (batch) this.entries.set(batch.request, [...(this.entries.get(batch.request) ?? []), batch.ids.length]);
    const fault = this.planned(batch) ?? this.drawn(batch);
    if (fault) this.made.set(fault, (this.made.get(fault) ?? 0) + 1);
    if (fault === 'cut before') return void request.socket.destroy();
    if (fault === 'unavailable') {
      response.writeHead(503, { 'content-type': 'text/html' });
      return void response.end('<html>busy</html>');
    }
    // The rest of the batch never gets there.
    const spared = fault?.startsWith('entries') ? Math.floor(this.random.next() * batch!.ids.length) : undefined;
    const left = spared === undefined ? [] : batch!.ids.slice(spared);
    const answer =
      spared === 0
        ? { status: 200, type: batch!.type, body: Buffer.from(batch!.nothing) }
        : await this.forward(request, spared === undefined ? body : Buffer.from(batch!.first(spared)));
    if (fault === 'answer lost') return void request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': answer.type });
    const isTold = fault === 'entries failed' && answer.status === 200;
    response.end(isTold ? batch!.withFailed(answer.body.toString(), left) : answer.body);
  }

  private planned(batch: Batch | undefined): Fault | undefined {
    if (!this.next || this.next.request !== batch?.request) return undefined;
    const { fault } = this.next;
    this.next = undefined;
    return fault;
  }

  private drawn(batch: Batch | undefined): Fault | undefined {
    return this.random.next() < this.rate ? faults[Math.floor(this.random.next() * (batch ? 5 : 3))] : undefined;
  }

  private async forward({ method, url, headers }: IncomingMessage, body: Buffer) {
    const { hostname, port } = this.target;
    const asked = ask({ hostname, port, method, path: url, headers: { ...headers, 'content-length': body.length } });
    asked.end(body);
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return {
      status: answer.statusCode!,
      type: answer.headers['content-type']!,
      body: Buffer.concat(await answer.toArray()),
    };
  }
}

/** A request of several entries, as its protocol has it. */
interface Batch {
  readonly request: string;
  readonly ids: readonly string[];
  readonly type: string;
  /** The answer in which no entry is named. */
  readonly nothing: string;
  /** The request with its first entries only. */
  first(count: number): string;
  withFailed(answer: string, ids: readonly string[]): string;
}

function jsonBatch({ headers }: IncomingMessage, text: string): Batch | undefined {
  const request = /\w+Batch$/.exec(String(headers['x-amz-target']))?.[0];
  if (request === undefined) return undefined;
  const input = JSON.parse(text) as { Entries: { Id: string }[] };
  return {
    request,
    ids: input.Entries.map(({ Id }) => Id),
    type: 'application/x-amz-json-1.0',
    nothing: '{}',
    first: (count) => JSON.stringify({ ...input, Entries: input.Entries.slice(0, count) }),
    withFailed: (answer, ids) => {
      const failed = ids.map((Id) => ({ Id, Code: 'InternalError', SenderFault: false }));
      return JSON.stringify({ ...(JSON.parse(answer) as object), Failed: failed });
    },
  };
}

/** SNS speaks an older protocol: forms, and XML. */
function snsBatch(text: string): Batch | undefined {
  const form = [...new URLSearchParams(text)];
  if (!form.some(([name, value]) => name === 'Action' && value === 'PublishBatch')) return undefined;
  const place = (name: string): number => Number(/^PublishBatchRequestEntries\.member\.(\d+)/.exec(name)?.[1] ?? 0);
  return {
    request: 'PublishBatch',
    ids: form.filter(([name]) => /member\.\d+\.Id$/.test(name)).map(([, value]) => value),
    type: 'text/xml',
    nothing: '<PublishBatchResponse><PublishBatchResult></PublishBatchResult></PublishBatchResponse>',
    first: (count) => new URLSearchParams(form.filter(([name]) => place(name) <= count)).toString(),
    withFailed: (answer, ids) => {
      const entry = (id: string): string =>
        `<member><Id>${id}</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>`;
      const failed = `<Failed>${ids.map(entry).join('')}</Failed></PublishBatchResult>`;
      return answer.replace(/<Failed\s*\/>|<Failed>\s*<\/Failed>/, '').replace('</PublishBatchResult>', failed);
    },
  };
}
