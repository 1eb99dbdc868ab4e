import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sqliteDeadLetterArchive } from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { closeShops, OWN, Shop } from '../dashboard/support.js';
import { bodyOf, BrokerClient, DLQ, ids, QUEUE } from '../dead-letters/support/broker-client.js';
import { describeBoth, type FreshBroker } from '../dead-letters/support/describe-both.js';
import { Places } from '../dead-letters/support/places.js';
import { Cli, type CliResult } from '../requeue/support/process.js';

const NOWHERE = { BROKER_URL: '', AMQP_URL: '', NATS_URL: '' };
const ended = (...args: string[]): Promise<CliResult> => new Cli(['dashboard', ...args], NOWHERE).ended;

/** The command at work, and somebody who came by the address that it has printed. */
class Visit {
  private constructor(
    private readonly cli: Cli,
    private readonly address: string,
    private readonly token: string,
  ) {}

  static async begin(env: Record<string, string>, ...args: string[]): Promise<Visit> {
    const cli = new Cli(['dashboard', ...args], { ...NOWHERE, ...env });
    await cli.until('Ctrl+C ends it');
    const [, address, token] = /(http:\/\/127\.0\.0\.1:\d+\/messaging)#token=([\w-]{32,})\n/.exec(cli.stdout)!;
    return new Visit(cli, address, token);
  }

  call(method: string, path: string, body?: object, token = this.token): Promise<Response> {
    return fetch(`${this.address}${path}`, {
      method,
      headers: { ...OWN, 'content-type': 'application/json', authorization: `Bearer ${token}` },
      ...(body && { body: JSON.stringify(body) }),
    });
  }

  async get(path: string): Promise<any> {
    return (await this.call('GET', `/api/v1/${path}`)).json();
  }

  /** A request target that need not be the path of a URL. */
  raw(target: string): Promise<unknown> {
    return new Promise((answered, failed) => {
      request({ port: new URL(this.address).port, host: '127.0.0.1', path: target }, answered)
        .on('error', failed)
        .end();
    });
  }

  async end(): Promise<CliResult> {
    this.cli.signal('SIGTERM');
    return this.cli.ended;
  }
}

describeBoth('The dashboard from a shell', (fresh, system) => {
  let broker: FreshBroker;
  let client: BrokerClient;
  let visit: Visit;

  beforeAll(async () => {
    broker = await fresh();
    client = await BrokerClient.connect(broker.factory);
    await client.fill(ids(3));
    await client.untilDepth(3);
    await client.send(ids(2, 'ready'));
    await client.untilDepth(2, QUEUE);
  }, 60_000);
  afterAll(() => client.close());
  beforeEach(async () => void (visit = await Visit.begin(broker.env, '--service', 'shop')), 60_000);

  test('lets in nobody without the token of its run', async () => {
    expect((await visit.call('GET', '/api/v1/snapshot', undefined, 'x'.repeat(32))).status).toBe(401);
    expect((await visit.call('GET', '')).status).toBe(200);
  });

  test('shows queues as the broker tells them, and dead letters where somebody asks for them', async () => {
    const { overview, subscriptions, queues } = await visit.get('snapshot');
    expect(overview).toMatchObject({ service: 'shop', connection: { state: 'connected' }, deadLetters: { queues: 3 } });
    expect(subscriptions).toMatchObject([
      { name: QUEUE, routes: ['order.paid'], state: 'waiting', deadLetterQueue: DLQ },
    ]);
    expect(queues.deadLetterQueues).toMatchObject([{ queue: DLQ, count: 3 }]);
    expect(await visit.get('dead-letters')).toMatchObject({ count: 0 });
    expect((await visit.call('POST', '/api/v1/looks', { queue: DLQ })).status).toBe(200);
    const { letters } = await visit.get('dead-letters');
    expect(letters).toHaveLength(3);
    expect((await visit.get(`dead-letters/${letters[0].key}`)).command).toContain('dead-letters redrive --queue');
  });

  test('acts on nothing', async () => {
    const { count, fingerprint } = await visit.get('plan');
    const seen = { filter: '', expected: { count, fingerprint } };
    for (const path of ['redrives', 'dead-letters/delete', `subscriptions/${QUEUE}/pause`])
      expect([path, (await visit.call('POST', `/api/v1/${path}`, seen)).status]).toEqual([path, 403]);
    await client.untilDepth(3);
  });

  test('is refused without a service where the broker lists nothing by itself', async () => {
    if (system === 'nats') return;
    expect(await new Cli(['dashboard'], { ...NOWHERE, ...broker.env }).ended).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--service or --queue is required'),
    });
  });

  test('ends in order at a signal, beside an open page', async () => {
    const live = await visit.call('GET', '/api/v1/live');
    expect(live.status).toBe(200);
    expect(await visit.end()).toMatchObject({ code: 0, stderr: '' });
    await live.body!.cancel().catch(() => undefined);
  });
});

describe('The dashboard from a shell, of files', () => {
  let folder: string;

  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'dashboard-'))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('shows an archive without any broker, while the application has it', async () => {
    const file = join(folder, 'archive.sqlite');
    const shop = await Shop.open({ archive: sqliteDeadLetterArchive({ file }) });
    await shop.fail([{ id: 'a', card: '4111' }, { id: 'b' }]);
    const visit = await Visit.begin({}, '--archive', file);
    const { letters, count } = await visit.get('dead-letters?filter=error:StockError');
    expect(count).toBe(2);
    const shown = await visit.get(`dead-letters/${letters[0].key}`);
    expect(shown.command).toContain('--archive <file>');
    expect(JSON.stringify(shown.body)).not.toContain('4111');
    await expect(visit.raw('//')).rejects.toThrow('socket hang up');
    expect((await visit.get('dead-letters')).count).toBe(2);
    expect(await visit.end()).toMatchObject({ code: 0, stderr: '' });
    await closeShops();
  }, 60_000);

  describe('of a retry queue', () => {
    const places = new Places();
    afterAll(() => places.close());

    test('shows what publishers have given up, while their applications come and use the folder', async () => {
      const retryQueue = await places.retryQueue(ids(3), true);
      const visit = await Visit.begin({}, '--retry-queue', retryQueue);
      const { overview, publisher } = await visit.get('snapshot');
      expect(overview).toMatchObject({ service: retryQueue, deadLetters: { queues: 0, publisher: 3 } });
      expect(publisher).toMatchObject({ deadLetters: 3 });
      const { letters } = await visit.get('dead-letters?filter=header.tenant:eve');
      expect(letters).toMatchObject([{ id: 'm1', place: 'publisher', reason: 'unsendable', route: 'order.paid' }]);
      const shown = await visit.get(`dead-letters/${letters[0].key}`);
      expect(shown).toMatchObject({ error: { class: 'MessageTooLargeError' }, body: { json: ['object', {}] } });
      expect(shown.command).toContain('--retry-queue <folder>');
      expect(JSON.stringify(shown.body)).not.toContain(JSON.parse(bodyOf('m1').toString()).id);

      const other = await places.retryQueue(ids(2, 'n'));
      for (const name of readdirSync(other)) copyFileSync(join(other, name), join(retryQueue, name));
      const count = async (): Promise<number> => (await visit.get('snapshot')).overview.deadLetters.publisher;
      await waitFor(async () => (await count()) === 5, 'those of the application that came', 30_000);
      expect((await visit.get('dead-letters?filter=id:n1')).count).toBe(1);
      const { count: planned, fingerprint } = await visit.get('plan');
      const seen = { filter: '', expected: { count: planned, fingerprint } };
      expect((await visit.call('POST', '/api/v1/dead-letters/delete', seen)).status).toBe(403);
      expect(await visit.end()).toMatchObject({ code: 0, stderr: '' });
      expect(await places.found(other)).toMatchObject({ waiting: ['waiting'] });
    }, 60_000);

    test('with --bodies full shows what is in them, and together with an archive both', async () => {
      const [retryQueue, file] = [await places.retryQueue(ids(2)), await places.archive(ids(3, 'a'))];
      const visit = await Visit.begin({}, '--retry-queue', retryQueue, '--archive', file, '--bodies', 'full');
      const { letters, count } = await visit.get('dead-letters?filter=queue:publisher');
      expect([count, (await visit.get('dead-letters')).count]).toEqual([2, 5]);
      const { body } = await visit.get(`dead-letters/${letters[0].key}`);
      expect(JSON.stringify(body)).toContain(JSON.parse(bodyOf(letters[0].id).toString()).id);
      expect(await visit.end()).toMatchObject({ code: 0, stderr: '' });
    }, 60_000);
  });

  test.each<[args: string[], said: string, code?: number]>([
    [['--retry-queue', '/nowhere/retry-queue'], 'allowed: a directory that exists'],
    [[], '--broker is required'],
    [['--archive', '/nowhere/archive.sqlite'], 'there is no such file', 1],
    [['--port', '70000', '--archive', 'x'], '--port is 70000; allowed: 0 to 65535'],
    [['--bodies', 'all', '--broker', 'amqp://127.0.0.1:1', '--timeout', '50ms'], 'No connection to rabbitmq', 1],
    [['--redrive'], "Unknown option '--redrive'"],
  ])('%j is refused: %s', async (args, said, code = 2) => {
    const result = await ended(...args);
    expect(result).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(said) });
  });

  test('a port that somebody has, and a way to show bodies that there is not', async () => {
    const file = join(folder, 'archive.sqlite');
    const other = createServer();
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    const { port } = other.address() as { readonly port: number };
    const taken = await ended('--archive', file, '--port', String(port));
    expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining('--port is') });
    await new Promise((closed) => other.close(closed));
    const bodies = await ended('--archive', file, '--bodies', 'all');
    expect(bodies).toMatchObject({ code: 2, stderr: expect.stringContaining('--bodies is "all"') });
  });
});
