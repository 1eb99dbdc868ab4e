import type { Redis } from 'ioredis';
import { redis } from 'nestjs-messaging/redis';
import type { HarnessOverrides, HarnessPeer, PeerMessage } from 'nestjs-messaging/testing';
import type { HeaderValue } from '../../lib/message/headers.js';
import { tagged, untagged } from '../../lib/transports/kit/text-values.js';
import type { Destination } from '../../lib/transport/outgoing.js';
import type { Transport } from '../../lib/transport/transport.js';
import type { RedisServer } from '../brokers/redis/server.js';
import { plainRedis } from '../redis/plain.js';
import { ProxiedHarness } from './proxied.harness.js';

/** What a client lost with its process comes again so late; and what nobody is woken for. */
const options = { lease: 2_000, pollInterval: 200, prefix: 'contract' };
const { capabilities } = redis(options).create();

const stream = (queue: string): string => `{${options.prefix}}:stream:${queue}`;

/** A Redis server for the contract. */
export class RedisHarness extends ProxiedHarness {
  readonly capabilities = capabilities;
  readonly deduplicates = true;
  readonly faults;
  readonly peer: HarnessPeer = {
    publish: (to, message) => this.publish(to, message),
    get: (queue) => this.get(queue),
  };
  private straight!: string;
  private server?: RedisServer;
  private plain!: Redis;

  constructor(
    name: string,
    /** The server is one of this run: it can be killed. */
    ours: boolean,
  ) {
    super({ name, ours, lastWords: Buffer.from('-ERR Protocol error: invalid bulk length\r\n') });
    this.faults = {
      ...this.proxied,
      ...(ours ? { restart: () => this.server!.restart() } : {}),
      deleteQueue: (queue: string) => this.remove([queue]),
    };
  }

  start(url: string, server?: RedisServer): Promise<void> {
    this.straight = url;
    this.server = server;
    return this.reach(url);
  }

  /** As somebody does who deletes all keys of a queue. */
  async remove(queues: readonly string[]): Promise<void> {
    const kinds = ['stream', 'consumers', 'waiting', 'returned', 'parked', 'free', 'keys'];
    for (const queue of queues) {
      await this.plain.del(...kinds.map((kind) => `{${options.prefix}}:${kind}:${queue}`));
      await this.plain.hdel(`{${options.prefix}}:queues`, queue);
      const fields = await this.plain.hkeys(`{${options.prefix}}:bindings`);
      const bound = fields.filter((field) => field.endsWith(`\0${queue}`));
      if (bound.length > 0) await this.plain.hdel(`{${options.prefix}}:bindings`, ...bound);
      await this.plain.set(`{${options.prefix}}:version`, `removed ${queue}`);
    }
  }

  protected transport(url: string, overrides: HarnessOverrides): Transport {
    return redis({ url, ...options, ...overrides }).create();
  }

  protected async connectPlain(): Promise<void> {
    this.plain = plainRedis(this.straight);
  }

  protected async closePlain(): Promise<void> {
    this.plain?.disconnect();
  }

  private async publish(to: Destination, { id, body, headers, properties }: PeerMessage): Promise<void> {
    const written = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, tagged(value)]));
    const topic = to.kind === 'route' ? { topic: 'events', route: to.route } : {};
    const head = JSON.stringify({ id, ...topic, headers: written, properties });
    for (const queue of await this.queuesOf(to)) await this.plain.xadd(stream(queue), '*', 'head', head, 'body', body);
  }

  private async queuesOf(to: Destination): Promise<string[]> {
    if (to.kind === 'queue') return [to.queue];
    const fields = await this.plain.hkeys(`{${options.prefix}}:bindings`);
    const bindings = fields.map((field) => field.split('\0'));
    return bindings
      .filter(([topic, pattern]) => topic === 'events' && pattern === to.route)
      .map(([, , queue]) => queue);
  }

  private async get(queue: string): Promise<PeerMessage | undefined> {
    const [entry] = await this.plain.xrangeBuffer(stream(queue), '-', '+', 'COUNT', 1);
    if (!entry) return undefined;
    const [id, fields] = entry;
    await this.plain.xdel(stream(queue), id);
    const named = Object.fromEntries(
      Array.from({ length: fields.length / 2 }, (_, at) => [fields[2 * at].toString(), fields[2 * at + 1]]),
    );
    const head = JSON.parse(named.head.toString()) as Head;
    const headers = Object.fromEntries(Object.entries(head.headers).map(([name, value]) => [name, untagged(value)]));
    return {
      id: head.id,
      body: named.body,
      headers,
      properties: head.properties ?? { contentType: 'application/json' },
    };
  }
}

interface Head {
  readonly id?: string;
  readonly headers: Record<string, HeaderValue>;
  readonly properties?: PeerMessage['properties'];
}
