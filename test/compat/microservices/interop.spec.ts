import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Messaging, MessagingModule } from 'nestjs-messaging';
import {
  fromRmqOptions,
  MessagingClient,
  type MessagingRpcContext,
  MessagingStrategy,
  type RmqOptions,
} from 'nestjs-messaging/compat/microservices';
import { lastValueFrom, toArray } from 'rxjs';
import { npmFolderBesideBrokers } from '../../brokers/npm-folder.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { CapturedLog, event, Seen } from '../../e2e/support/application.js';
import { sawing, Shop, untilSeen } from './shop.js';

const versions = [
  ['Nest 11', npmFolderBesideBrokers('request-peers', resolve(__dirname, '../../request/interop')).folder],
  ['Nest 12', npmFolderBesideBrokers('nest12-peers', resolve(__dirname, 'nest12')).folder],
] as const;

/** The event of an order, as its handler saw it. */
async function untilCreated(id: string): Promise<readonly unknown[]> {
  let found: readonly unknown[] | undefined;
  for (let count = 1; !found; count++)
    found = (await untilSeen('order.created', count)).find(([, order]) => (order as { id: string }).id === id);
  return found;
}

interface Told {
  readonly number?: number;
  readonly values?: unknown[];
  readonly error?: unknown;
  readonly event?: unknown;
}

describeRabbit('servers and clients of', (rabbit) => {
  for (const [name, folder] of versions)
    describe(name, () => {
      const run = folder === undefined ? test.skip : test;
      const events = new Seen<unknown>();
      const apps: INestApplication[] = [];
      let peer: ChildProcess;
      let url: string;
      let asked = 0;

      /** An application on the options of Nest's transport. */
      const boot = async (options: RmqOptions, service: string): Promise<Messaging> => {
        const migrated = fromRmqOptions({ urls: [url], ...options }, { service });
        const log = new CapturedLog();
        const module = MessagingModule.forRoot({ ...migrated.module, retry: { attempts: 2, backoff: 1 } });
        const tested = Test.createTestingModule({ imports: [module], controllers: [Shop] }).setLogger(log);
        const app = (await tested.compile()).createNestApplication();
        apps.push(app);
        const messaging = app.get(Messaging);
        app.connectMicroservice({ strategy: new MessagingStrategy(messaging, migrated.strategy) });
        await app.startAllMicroservices();
        await app.init();
        return messaging;
      };

      beforeAll(async () => {
        if (folder === undefined) return;
        url = await rabbit.freshVhostUrl();
        peer = fork(resolve(__dirname, 'peer.mjs'), [folder, url], {
          execArgv: [],
          stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        });
        let said = '';
        peer.stderr!.on('data', (text: Buffer) => (said += text.toString()));
        const ended = once(peer, 'exit').then(() => ['ended']);
        const [first] = (await Promise.race([once(peer, 'message'), ended])) as unknown[];
        if (first !== 'ready') throw new Error(`The other side ended: ${said}`);
        peer.on('message', (told: Told) => {
          if ('event' in told) events.add(told.event);
        });
        // The client of Nest has made the queue: it fits.
        await boot({ queue: 'ours', queueOptions: { durable: true }, noAck: false, prefetchCount: 5 }, 'by-queue');
        await boot({ queue: 'ours-wildcards', exchange: 'events', wildcards: true, prefetchCount: 5 }, 'by-route');
      }, 60_000);

      afterAll(async () => {
        peer?.kill('SIGKILL');
        await Promise.all(apps.map((app) => app.close()));
      });

      const theirs = (
        by: 'queue' | 'wildcards',
        kind: 'send' | 'emit',
        pattern: unknown,
        data: unknown,
        options?: object,
      ): Promise<Told> => {
        const number = ++asked;
        const answer = new Promise<Told>((done) => {
          const look = (told: Told): void => {
            if (told.number !== number) return;
            peer.off('message', look);
            done(told);
          };
          peer.on('message', look);
        });
        peer.send({ number, by, kind, pattern, data, options });
        return answer;
      };

      describe.each(['queue', 'wildcards'] as const)('by %s', (by) => {
        run('their client asks, and gets each value, or the error', async () => {
          expect(await theirs(by, 'send', { cmd: 'sum', service: 'math' }, [1, 2])).toMatchObject({ values: [3] });
          expect(await theirs(by, 'send', 'math.stream', [1, 2, 3])).toMatchObject({ values: [1, 2, 3] });
          expect(await theirs(by, 'send', 'math.fails', 'object')).toMatchObject({
            error: { code: 'OUT_OF_STOCK', next: 'June' },
          });
          expect(await theirs(by, 'send', 'math.fails', 'error')).toMatchObject({
            error: { status: 'error', message: 'Internal server error' },
          });
        });

        run('their client emits, with the options of a record', async () => {
          const id = `${name} ${by}`;
          await theirs(by, 'emit', 'order.created', { id }, { headers: { tenant: 't' }, messageId: id, priority: 3 });
          const [, , context] = (await untilCreated(id)) as readonly [unknown, unknown, MessagingRpcContext];
          expect(context.getMessage()).toMatchObject({
            properties: { messageId: id, priority: 3, headers: { tenant: 't' } },
            fields: { routingKey: by === 'queue' ? 'ours' : 'order.created' },
          });
        });

        run('our client asks theirs, and emits', async () => {
          const messaging = apps[by === 'queue' ? 0 : 1].get(Messaging);
          const options = by === 'queue' ? { queue: 'nest-queue' } : { exchange: 'events', wildcards: true };
          const { client } = fromRmqOptions(options, { service: 'client' });
          const ours = new MessagingClient({ messaging, ...client });
          const ask = (pattern: unknown, data: unknown): Promise<unknown[]> =>
            lastValueFrom(ours.send<unknown>(pattern, data).pipe(toArray()));
          expect(await ask({ cmd: 'sum', service: 'nest' }, [3, 4])).toEqual([7]);
          expect(await ask('nest.stream', [1, 2, 3])).toEqual([1, 2, 3]);
          await expect(ask('nest.fails', 'object')).rejects.toEqual({ code: 'OUT_OF_STOCK' });
          await expect(ask('nest.fails', 'error')).rejects.toMatchObject({ message: 'Internal server error' });
          if (by === 'queue')
            await expect(ask('nest.none', {})).rejects.toBe(
              'There is no matching message handler defined in the remote service.',
            );
          expect(await lastValueFrom(ours.emit('nest.event', { by }))).toMatchObject({ outcome: 'confirmed' });
          while (!events.all.some((one) => (one as { by: string }).by === by))
            await events.until(events.all.length + 1);
          ours.close();
        });
      });

      run('a fanout exchange, and a direct one with its key', async () => {
        for (const options of [
          { queue: 'ours-fanout', exchange: 'all', exchangeType: 'fanout' },
          { queue: 'ours-direct', exchange: 'one', exchangeType: 'direct', routingKey: 'orders' },
        ]) {
          const id = `${name} ${options.exchange}`;
          const messaging = await boot({ ...options, prefetchCount: 5 }, options.exchange);
          const { client } = fromRmqOptions(options, { service: 'client' });
          const ours = new MessagingClient({ messaging, ...client });
          await lastValueFrom(ours.emit('order.created', { id }));
          await untilCreated(id);
          ours.close();
        }
      });

      run('what their client asks that has no handler is told so', async () => {
        expect(await theirs('queue', 'send', 'no.such', {})).toMatchObject({
          error: 'There is no matching message handler defined in the remote service.',
        });
      });

      run('an event of theirs whose handler fails is retried, and becomes a dead letter', async () => {
        const messaging = apps[0].get(Messaging);
        const before = sawing('order.broken').length;
        const given = event(messaging, 'dead-lettered');
        await theirs('queue', 'emit', 'order.broken', { name });
        expect(await given).toMatchObject({ reason: 'attempts-exhausted', error: new TypeError(`broken ${name}`) });
        expect(sawing('order.broken').slice(before)).toHaveLength(2);
      });
    });
});
