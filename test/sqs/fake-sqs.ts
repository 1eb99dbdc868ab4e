import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The body of a request, and of an answer. */
export type Json = Record<string, unknown>;
/** What an operation answers; `fault`: an error of this name and status instead. */
export type Answer = Json | { readonly fault: string; readonly status?: number };
type Entry = { readonly Id: string; readonly MessageBody?: string };

/** A service that speaks as SQS does and answers as a test says: what no emulator can be made to do. */
export class FakeSqs {
  readonly requests: { readonly operation: string; readonly input: Json }[] = [];
  /** Polls that are held open. */
  polls = 0;
  /** By the name of an operation; the others answer as if all was well, and a poll without an answer is held open. */
  readonly answers: Partial<Record<string, (input: Json) => Answer | undefined>> = {};
  /** Requests of this operation are answered when they are released. */
  held?: string;
  /** A token of a session that has run out. */
  expired?: string;
  private readonly waiting: (() => void)[] = [];
  private readonly queues: Map<string, Json> = new Map();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<FakeSqs> {
    const fake: FakeSqs = new FakeSqs(createServer((request, response) => void fake.handle(request, response)));
    fake.server.listen(0, '127.0.0.1');
    await once(fake.server, 'listening');
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The inputs of an operation, in their order. */
  of<T = Json>(operation: string): T[] {
    return this.requests.filter((request) => request.operation === operation).map(({ input }) => input as T);
  }

  /** Holds nothing any more. */
  release(): void {
    this.held = undefined;
    for (const resume of this.waiting.splice(0)) resume();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const operation = String(request.headers['x-amz-target']).split('.')[1];
    const input = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Json;
    this.requests.push({ operation, input });
    if (this.held === operation) await new Promise<void>((resolve) => this.waiting.push(resolve));
    const token = request.headers['x-amz-security-token'];
    const isExpired = token !== undefined && token === this.expired;
    const fault = isExpired ? { fault: 'com.amazon.coral.service#ExpiredTokenException', status: 403 } : undefined;
    const answer = fault ?? this.answers[operation]?.(input) ?? this.usual(operation, input);
    if (answer === undefined) {
      this.polls++;
      response.on('close', () => this.polls--);
      return;
    }
    const isFault = 'fault' in answer;
    response.writeHead(isFault ? Number(answer.status ?? 400) : 200, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify(isFault ? { __type: answer.fault, message: answer.fault } : answer));
  }

  private usual(operation: string, input: Json): Answer | undefined {
    const entries = (input.Entries ?? []) as Entry[];
    const url = (name: unknown): string => `${this.endpoint}/000000000000/${String(name)}`;
    const tags = this.queues.get(String(input.QueueUrl)) ?? {};
    switch (operation) {
      case 'ListQueues':
        return { QueueUrls: [...this.queues.keys()] };
      case 'GetQueueUrl':
        if (!this.queues.has(url(input.QueueName))) return { fault: 'QueueDoesNotExist' };
        return { QueueUrl: url(input.QueueName) };
      case 'CreateQueue':
        this.queues.set(url(input.QueueName), {});
        return { QueueUrl: url(input.QueueName) };
      case 'ListQueueTags':
        return { Tags: tags };
      case 'TagQueue':
        this.queues.set(String(input.QueueUrl), { ...tags, ...(input.Tags as Json) });
        return {};
      case 'GetQueueAttributes':
        return {
          Attributes: { QueueArn: `arn:aws:sqs:us-east-1:000000000000:${String(input.QueueUrl).split('/').at(-1)}` },
        };
      case 'ReceiveMessage':
        return undefined;
      default:
        return { Successful: entries.map(({ Id }) => ({ Id, MessageId: Id, MD5OfMessageBody: '' })), Failed: [] };
    }
  }
}
