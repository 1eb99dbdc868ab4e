import { Pool } from 'pg';
import { postgres } from 'nestjs-messaging/postgres';
import type { HarnessOverrides, HarnessPeer, PeerMessage } from 'nestjs-messaging/testing';
import type { HeaderValue } from '../../lib/message/headers.js';
import { tagged, untagged } from '../../lib/transports/kit/text-values.js';
import type { Destination } from '../../lib/transport/outgoing.js';
import type { Transport } from '../../lib/transport/transport.js';
import type { PostgresServer } from '../brokers/postgres/server.js';
import { ProxiedHarness } from './proxied.harness.js';

/** What a client lost with its process comes again so late; and what nobody is notified of. */
const options = { lease: 2_000, pollInterval: 200 };
const { capabilities } = postgres(options).create();

/** A PostgreSQL server for the contract. */
export class PostgresHarness extends ProxiedHarness {
  readonly capabilities = capabilities;
  readonly faults;
  readonly peer: HarnessPeer = {
    publish: (to, message) => this.publish(to, message),
    get: (queue) => this.get(queue),
  };
  private straight!: string;
  private server?: PostgresServer;
  private plain!: Pool;

  constructor(
    name: string,
    /** The server is one of this run: it can be killed. */
    ours: boolean,
  ) {
    super({ name, ours, lastWords: fatal('08P01', 'invalid message format') });
    this.faults = {
      ...this.proxied,
      ...(ours ? { restart: () => this.server!.restart() } : {}),
      deleteQueue: (queue: string) => this.remove([queue]),
    };
  }

  start(url: string, server?: PostgresServer): Promise<void> {
    this.straight = url;
    this.server = server;
    return this.reach(url);
  }

  async remove(queues: readonly string[]): Promise<void> {
    await this.plain.query('delete from messaging.queues where name = any($1)', [queues]);
  }

  protected transport(url: string, overrides: HarnessOverrides): Transport {
    return postgres({ url, ...options, ...overrides }).create();
  }

  protected async connectPlain(): Promise<void> {
    this.plain = new Pool({ connectionString: this.straight, max: 2 });
    this.plain.on('error', () => undefined);
  }

  protected async closePlain(): Promise<void> {
    await this.plain?.end();
  }

  private async publish(to: Destination, { id, body, headers, properties }: PeerMessage): Promise<void> {
    const written = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, tagged(value)]));
    const topic = to.kind === 'route' ? { topic: 'events', route: to.route } : {};
    const queues =
      to.kind === 'queue'
        ? 'select id from messaging.queues where name = $3'
        : `select queue from messaging.bindings where topic = 'events' and pattern = $3`;
    await this.plain.query(
      `insert into messaging.messages (queue, head, body) select q, $1, $2 from (${queues}) q(q)`,
      [JSON.stringify({ id, ...topic, headers: written, properties }), body, to.kind === 'queue' ? to.queue : to.route],
    );
  }

  private async get(queue: string): Promise<PeerMessage | undefined> {
    const { rows } = await this.plain.query<{ head: Head; body: Buffer }>(
      `delete from messaging.messages where id = (select m.id from messaging.messages m join messaging.queues q on q.id = m.queue
       where q.name = $1 order by m.rank, m.id limit 1) returning head, body`,
      [queue],
    );
    if (rows.length === 0) return undefined;
    const { head, body } = rows[0];
    const headers = Object.fromEntries(Object.entries(head.headers).map(([name, value]) => [name, untagged(value)]));
    return { id: head.id, body, headers, properties: head.properties };
  }
}

interface Head {
  readonly id?: string;
  readonly headers: Record<string, HeaderValue>;
  readonly properties: PeerMessage['properties'];
}

function fatal(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const start = Buffer.alloc(5);
  start.write('E');
  start.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([start, fields]);
}
