import { readFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { NatsServer } from '../brokers/nats/server.js';
import { describeNatsNode, type NatsBroker } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { Random } from '../fault/random.js';
import { inspectDirectory } from '../../lib/requeue/data-directory.js';
import { Cli } from './support/process.js';
import { dataDirectory, type TestClient, TestClient as Client } from './support/service.js';

/** Deaths in the middle of the load, at seeded points. More: REQUEUE_KILLS=60. */
const KILLS = Number(process.env.REQUEUE_KILLS ?? 5);

const stored = async (directory: string): Promise<number> =>
  (await inspectDirectory(directory, Date.now(), 0)).queues.reduce((sum, { depth }) => sum + depth, 0);

/** Sends without a pause and notes what was acknowledged; what gets no reply is not sent again. */
class Load {
  readonly accepted = new Set<string>();
  sent = 0;
  private stopped = false;
  private readonly lanes: Promise<void>[];

  constructor(
    private readonly client: TestClient,
    lanes: number,
    private readonly options: object = {},
  ) {
    this.lanes = Array.from({ length: lanes }, () => this.lane());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.lanes);
  }

  private async lane(): Promise<void> {
    while (!this.stopped) {
      const id = `m-${++this.sent}`;
      const queue = `queue.${this.sent % 5}`;
      try {
        const reply = await this.client.connection.request('requeue.work', id, {
          timeout: 200,
          headers: (await import('nestjs-messaging/requeue')).requeueHeaders(
            { id, queue, backoff: { initial: 20 }, ...this.options },
            (await import('@nats-io/transport-node')).headers(),
          ),
        });
        if (!reply.headers?.has('Requeue-Error')) this.accepted.add(id);
      } catch {
        // Nobody is there at the moment, or it died before it answered: not acknowledged.
        await new Promise((resume) => setImmediate(resume));
      }
    }
  }
}

describeNatsNode('the requeue process', (nats: NatsBroker) => {
  async function world(): Promise<{ server: NatsServer; client: TestClient; directory: string }> {
    const server = await nats.start({ jetstream: false });
    return { server, client: await Client.connect(server.url), directory: dataDirectory() };
  }

  test(`delivers every acknowledged message when it is killed ${KILLS} times under load`, async () => {
    const { server, client, directory } = await world();
    const random = new Random(nats.version.length * 7919);
    const handled = new Map<string, number>();
    let handledInAll = 0;
    client.connection.subscribe('work', {
      callback: (_, message) => {
        const id = message.string();
        handled.set(id, (handled.get(id) ?? 0) + 1);
        handledInAll++;
        message.respond();
      },
    });
    const load = new Load(client, 16);
    const inFlight = 64;
    let kills = 0;
    for (; kills < KILLS; kills++) {
      const before = load.accepted.size;
      const cli = await Cli.requeue(server.url, directory, '--max-in-flight', String(inFlight), '--interval', '50');
      const more = random.between(1, 400);
      await waitFor(() => load.accepted.size >= before + more, 'the load', 20_000);
      await cli.kill();
    }
    await load.stop();
    const last = await Cli.requeue(server.url, directory, '--interval', '50');
    const lost = (): string[] => [...load.accepted].filter((id) => !handled.has(id));
    await waitFor(() => lost().length === 0, 'every acknowledged message', 20_000);
    await waitFor(async () => (await stored(directory)) === 0, 'an empty store', 20_000);
    await last.kill();
    const duplicates = handledInAll - handled.size;
    expect(kills).toBe(KILLS);
    expect(load.accepted.size).toBeGreaterThan(KILLS * 20);
    // What was under way, and what was answered and not written yet.
    expect(duplicates).toBeLessThanOrEqual(KILLS * 2 * inFlight);
    process.stderr.write(
      `${nats.version}: ${KILLS} kills, ${load.accepted.size} acknowledged, ${lost().length} lost, ${duplicates} duplicates\n`,
    );
  }, 240_000);

  test('finishes in order at SIGTERM under load: all that was acknowledged is handled or on the disk', async () => {
    const { server, client, directory } = await world();
    const handled = await client.subscribe('work');
    const load = new Load(client, 16, { delay: 30 });
    const cli = await Cli.requeue(server.url, directory);
    await handled.until(200);
    cli.signal('SIGTERM');
    const { code, stdout } = await cli.ended;
    await load.stop();
    expect({ code, last: JSON.parse(stdout.trim().split('\n').at(-1)!).message }).toEqual({ code: 0, last: 'Ended' });
    const ids = new Set(handled.all.map(({ body }) => body));
    const missing = [...load.accepted].filter((id) => !ids.has(id));
    expect(await stored(directory)).toBeGreaterThanOrEqual(missing.length);
    expect(handled.all.length).toBe(ids.size);
    const next = await Cli.requeue(server.url, directory);
    await waitFor(() => {
      const now = new Set(handled.all.map(({ body }) => body));
      return missing.every((id) => now.has(id));
    }, 'the rest after the next start');
    await next.kill();
  });

  test('ends at once at the second signal, and loses nothing', async () => {
    const { server, client, directory } = await world();
    const silent = await client.subscribe('silent', () => undefined);
    const cli = await Cli.requeue(server.url, directory, '--shutdown-timeout', '60000');
    await client.send('requeue.silent', 'x');
    await silent.until(1);
    cli.signal('SIGTERM');
    await cli.until('SIGTERM: what is under way is finished');
    cli.signal('SIGTERM');
    expect(await cli.ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(await stored(directory)).toBe(1);
  });

  test('waits for a server that is down at the start, and says so without a secret', async () => {
    const { server, client, directory } = await world();
    const { port } = server;
    await client.connection.close();
    await server.kill();
    const cli = new Cli(['requeue', '--servers', `nats://127.0.0.1:${port}`, '--data-dir', directory], {
      NATS_USER: 'someone',
      NATS_PASSWORD: 'hush-hush',
    });
    await cli.until('cannot be reached');
    await server.restart();
    await cli.until('Listening on');
    const again = await Client.connect(server.url);
    const seen = await again.subscribe('orders');
    await again.send('requeue.orders');
    await seen.until(1);
    cli.signal('SIGTERM');
    const { code, stdout, stderr } = await cli.ended;
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain('hush-hush');
    expect(cli.records.map(({ level }) => level)).toContain('warn');
    for (const record of cli.records)
      expect(record).toMatchObject({ time: expect.any(String), message: expect.any(String) });
  });

  test('spends no attempt while the server is dead, and goes on when it is back', async () => {
    const { server, client, directory } = await world();
    const cli = await Cli.requeue(server.url, directory, '--ack-timeout', '100');
    const held = await client.subscribe('held', () => undefined);
    await client.send('requeue.held', 'x', { attempts: 3, backoff: { initial: 60_000 } });
    await client.send('requeue.later', 'y', { delay: 500 });
    await held.until(1);
    const later = await client.subscribe('later');
    await server.kill();
    await cli.until('is lost');
    await server.restart();
    await waitFor(() => later.all.length === 1, 'what fell due meanwhile', 15_000);
    expect(later.all[0].attempt).toBe(1);
    expect(held.all[0].attempt).toBe(1);
    cli.signal('SIGTERM');
    expect((await cli.ended).code).toBe(0);
  });

  test('a server that hangs spends no attempt', async () => {
    const { server, client, directory } = await world();
    const cli = await Cli.requeue(server.url, directory, '--ack-timeout', '250');
    const seen = await client.subscribe('orders');
    await client.send('requeue.orders', 'x', { attempts: 1, delay: 200 });
    await server.suspend();
    // Nothing announces that three timeouts have passed.
    const began = Date.now();
    await waitFor(() => Date.now() - began > 1_000);
    server.resume();
    await waitFor(async () => (await stored(directory)) === 0, 'the delivery');
    expect(seen.all.map(({ attempt }) => attempt)).toEqual([1]);
    expect((await inspectDirectory(directory, Date.now(), 1)).deadLetters).toEqual([]);
    await cli.kill();
  });

  test('two processes share a group and a directory, and each message is sent once', async () => {
    const { server, client, directory } = await world();
    const [one, two] = await Promise.all([Cli.requeue(server.url, directory), Cli.requeue(server.url, directory)]);
    const seen = await client.subscribe('shared');
    await Promise.all(Array.from({ length: 200 }, (_, at) => client.send('requeue.shared', `${at}`)));
    await seen.until(200);
    await waitFor(async () => (await stored(directory)) === 0);
    expect(new Set(seen.all.map(({ body }) => body)).size).toBe(200);
    expect(seen.all.length).toBe(200);
    const counts = await client.connection.requestMany('requeue.stats', '', {
      maxWait: 2_000,
      maxMessages: 2,
      strategy: 'count',
    });
    const delivered: number[] = [];
    for await (const message of counts) delivered.push(message.json<any>().queues[0].delivered);
    expect(delivered.reduce((sum, count) => sum + count, 0)).toBe(200);
    expect(delivered.every((count) => count > 0)).toBe(true);
    for (const cli of [one, two]) await cli.kill();
  });

  test('takes over what a killed process has left, and sends it without new traffic', async () => {
    const { server, client, directory } = await world();
    const survivor = await Cli.requeue(
      server.url,
      directory,
      '--interval',
      '100',
      '--group',
      'others',
      '--subject',
      'others.>',
    );
    const victim = await Cli.requeue(server.url, directory);
    for (let at = 0; at < 50; at++) await client.send('requeue.orphan', `${at}`, { delay: 1_500, queue: 'a.b' });
    const seen = await client.subscribe('orphan');
    await victim.kill();
    await survivor.until('were taken over');
    await seen.until(50);
    expect(new Set(seen.all.map(({ body }) => body)).size).toBe(50);
    await survivor.kill();
  });

  describe('its data directory', () => {
    test('is inspected while it is in use; retry and purge refuse', async () => {
      const { server, client, directory } = await world();
      const cli = await Cli.requeue(server.url, directory);
      await client.send('requeue.nobody', 'x', { id: 'dead-1', attempts: 1, queue: 'mail.de', priority: 7 });
      await client.send('requeue.later', 'y', { delay: 60_000 });
      await waitFor(async () => (await inspectDirectory(directory, Date.now(), 1)).deadLetters.length === 1);
      const { stdout } = await Cli.run('requeue', 'inspect', '--data-dir', directory, '--json');
      expect(JSON.parse(stdout)).toMatchObject({
        directory,
        files: [{ owned: true }],
        queues: [
          { queue: 'default', depth: 1, due: 0, nextDue: expect.any(String) },
          { queue: 'mail.de', depth: 0, deadLetters: { 'attempts-exhausted': 1 } },
        ],
        deadLetters: [{ id: 'dead-1', queue: 'mail.de', subject: 'nobody', errorCode: 'no-responders', attempts: 1 }],
      });
      for (const command of ['retry', 'purge']) {
        const refused = await Cli.run('requeue', command, '--data-dir', directory);
        expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('in use by a running service') });
      }

      cli.signal('SIGTERM');
      await cli.ended;
      const text = (await Cli.run('requeue', 'inspect', '--data-dir', directory)).stdout;
      expect(text).toContain('1 files, 0 in use');
      expect(text).toContain('dead-1 to nobody: attempts-exhausted after 1 attempts');
      const retried = await Cli.run('requeue', 'retry', '--data-dir', directory, '--queue', 'mail.de');
      expect(retried).toMatchObject({ code: 0, stdout: '1 dead letters are in their queues again\n' });
      const seen = await client.subscribe('nobody');
      const next = await Cli.requeue(server.url, directory);
      expect(await seen.until(1)).toMatchObject([{ id: 'dead-1', attempt: 1, body: 'x' }]);
      await next.kill();
    });

    test('is inspected after a kill, without being changed; purge deletes dead letters only', async () => {
      const { server, client, directory } = await world();
      const cli = await Cli.requeue(server.url, directory);
      await client.send('requeue.nobody', 'x', { attempts: 1 });
      await client.send('requeue.requeue.loop', 'x').catch(() => undefined);
      await client.send('requeue.later', 'y', { delay: 60_000 });
      const summary = async () => inspectDirectory(directory, Date.now(), 10);
      await waitFor(async () => (await summary()).deadLetters.length === 2);
      await cli.kill();
      const { queues } = await summary();
      expect(queues.map(({ queue, depth, deadLetters }) => ({ queue, depth, deadLetters }))).toEqual([
        { queue: '$refused', depth: 0, deadLetters: { refused: 1 } },
        { queue: 'default', depth: 1, deadLetters: { 'attempts-exhausted': 1 } },
      ]);
      expect((await Cli.run('requeue', 'purge', '--data-dir', directory)).stdout).toBe('2 dead letters are deleted\n');
      expect((await summary()).queues).toMatchObject([{ queue: 'default', depth: 1, deadLetters: {} }]);
    });
  });

  test('gives up at once when the server refuses the credentials', async () => {
    const server = await nats.start({ jetstream: false, user: { name: 'test', password: 'right' } });
    const address = `127.0.0.1:${server.port}`;
    const wrong = new Cli(['requeue', '--servers', address, '--data-dir', dataDirectory()], {
      NATS_USER: 'test',
      NATS_PASSWORD: 'wrong-secret',
    });
    const { code, stdout, stderr } = await wrong.ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('refuses the credentials') });
    expect(stdout + stderr).not.toContain('wrong-secret');
    const right = new Cli(['requeue', '--servers', address, '--data-dir', dataDirectory()], {
      NATS_USER: 'test',
      NATS_PASSWORD: 'right',
    });
    await right.until('Listening on');
    await right.kill();
  });
});

describe('the command line', () => {
  test('refuses an unknown flag, a wrong number, a missing folder and a password with exit code 2', async () => {
    const dir = join(dataDirectory(), 'new');
    const cases: [string[], RegExp][] = [
      [['requeue', '--nope'], /Unknown option '--nope'.*requeue --help/],
      [['requeue'], /--data-dir is required/],
      [['requeue', '--data-dir', dir, '--ack-timeout', '1s'], /--ack-timeout is «1s»; allowed: a whole number/],
      [['requeue', '--data-dir', dir, '--ack-timeout', '0'], /--ack-timeout.*from 1 to/],
      [['requeue', '--data-dir', dir, '--subject', 'a..b'], /--subject/],
      [['requeue', '--data-dir', dir, '--servers', 'http://x'], /--servers/],
      [['requeue', '--data-dir', dir, '--servers', 'nats://me:secret@host:4222'], /user or password/],
      [['requeue', 'inspect', '--data-dir', dir], /a directory that exists/],
      [['unknown'], /There is no command «unknown»/],
      [[], /Usage:/],
    ];
    const results = await Promise.all(cases.map(([args]) => Cli.run(...args)));
    results.forEach(({ code, stderr }, at) => {
      expect({ args: cases[at][0], code, stderr }).toEqual({
        args: cases[at][0],
        code: 2,
        stderr: expect.stringMatching(cases[at][1]),
      });
      expect(stderr).not.toContain('secret@');
      expect(stderr).not.toContain('me:secret');
    });
  });

  test('says what is wrong with a folder that everybody can write to', async () => {
    const directory = join(dataDirectory(), 'open');
    mkdirSync(directory);
    (await import('node:fs')).chmodSync(directory, 0o777);
    const { code, stderr } = await Cli.run('requeue', '--data-dir', directory);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('chmod 700') });
  });

  test('is executable', () => {
    const bin = readFileSync(join(__dirname, '../../dist/cli.js'), 'utf8');
    expect(bin.startsWith('#!/usr/bin/env node\n')).toBe(true);
  });
});
