import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';
import { describeNats } from '../brokers/nats.js';
import { describePostgres } from '../brokers/postgres.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { describeRedis } from '../brokers/redis.js';
import { waitFor } from '../brokers/wait-for.js';
import { Program, type Running } from '../e2e/support/program.js';
import { closeShops, Shop } from './support.js';

const WITHIN = 90_000;
const SECRET = 'the-secret-of-the-fleet-in-these-tests';

// A worker without a server for HTTP.
const PROGRAM = `
import 'reflect-metadata';
import { appendFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { Messaging, MessagingModule } from 'nestjs-messaging';
import { joinFleet } from 'nestjs-messaging/dashboard';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';

const { SYSTEM, ADDRESS, JOURNAL, ROLE, SECRET: secret } = process.env;
const transport = {
  rabbitmq: (url) => rabbitmq({ url }),
  nats: (servers) => nats({ servers, syncAlways: true, ackWait: 2_000 }),
  postgres: (url) => postgres({ url }),
  redis: (url) => redis({ url }),
}[SYSTEM](ADDRESS);
const join = (messaging) => joinFleet(messaging, { secret, version: ROLE });
class Worker {}
// One joins before it is connected, and the other afterwards.
const providers = ROLE === 'one' ? [{ provide: 'fleet', inject: [Messaging], useFactory: join }] : [];
const imports = [MessagingModule.forRoot({ service: 'workers', transport })];
const app = await NestFactory.createApplicationContext({ module: Worker, imports, providers }, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
const messaging = app.get(Messaging);
if (ROLE === 'other') join(messaging);
await messaging.subscribe({ route: 'work' }, () => undefined);
appendFileSync(JOURNAL, 'ready ' + ROLE + '\\n');
`;

interface Place {
  readonly transportAt: (address: string) => TransportFactory;
  readonly address: () => Promise<string>;
  /** Whether the death of a process is shown here, which takes half a minute. */
  readonly kills: boolean;
}

/** Three processes of one fleet: a shop with a dashboard, and two workers. */
function suite(system: string, { transportAt, address, kills }: Place): void {
  let program: Program;
  let settings: Readonly<Record<string, string>>;
  let shop: Shop;

  beforeEach(async () => {
    program = new Program(PROGRAM);
    settings = { SYSTEM: system, ADDRESS: await address(), SECRET };
    shop = await Shop.open({
      transport: transportAt(settings.ADDRESS),
      dashboard: { insecure: true, fleet: { secret: SECRET } },
    });
  }, WITHIN);
  afterEach(async () => {
    await closeShops();
    await program.close();
  }, WITHIN);

  async function start(ROLE: string): Promise<Running> {
    const running = program.start({ ...settings, ROLE });
    const isReady = (): boolean => program.lines().some((line) => line.join(' ') === `ready ${ROLE}`);
    await waitFor(() => isReady() || !running.alive, `${ROLE} to be ready`, WITHIN);
    if (!running.alive) throw new Error(running.output);
    return running;
  }
  const processes = async (): Promise<any[]> => (await shop.get('fleet')).processes;
  const pids = async (): Promise<number[]> => (await processes()).map(({ pid }) => pid).sort((a, b) => a - b);
  const until = (...wanted: (number | undefined)[]): Promise<void> => {
    const told = [...wanted, process.pid].sort((a, b) => a! - b!).join();
    return waitFor(async () => (await pids()).join() === told, `the processes ${told}`, WITHIN);
  };
  const queueOf = ({ id }: any): string => `workers:fleet:${id}:queue`;

  test(
    `each is seen and paused by itself; of one that ends${kills ? ', and of one that is killed,' : ''} nothing is left`,
    async () => {
      const [one, other] = [await start('one'), await start('other')];
      await until(one.pid, other.pid);
      const before = await processes();
      const [first, second] = ['one', 'other'].map((role) => before.find(({ version }) => version === role));
      expect(first).toMatchObject({ service: 'workers', pid: one.pid, status: 'up', missed: 0 });
      expect(first.startedAt).toBeGreaterThan(Date.now() - WITHIN);
      const paused = await shop.act('POST', `fleet/${first.id}/pause`, { name: 'work' });
      expect([paused.status, await paused.text()]).toEqual([200, expect.stringContaining(String(one.pid))]);
      const states = (await processes()).map(({ version = 'shop', subscriptions }) => [
        version,
        subscriptions[0].state,
      ]);
      expect(Object.fromEntries(states)).toMatchObject({ one: 'paused', other: 'consuming' });

      const { queues } = shop.messaging.described.transport;
      const depth = (told: object): Promise<number | undefined> => queues!.depth(queueOf(told));
      expect([await depth(first), await depth(second)]).toEqual([0, 0]);
      await other.end('SIGTERM');
      expect(await depth(second)).toBeUndefined();
      if (!kills) return;
      await one.end('SIGKILL');
      await until();
      expect((await shop.act('POST', `fleet/${first.id}/resume`, { name: 'work' })).status).toBe(404);
      await waitFor(async () => (await depth(first)) === undefined, 'the end of its queue', WITHIN);
    },
    2 * WITHIN,
  );
}

const natsAt = (servers: string): TransportFactory => nats({ servers, syncAlways: true, ackWait: 2_000 });
const isLong = process.env.LONG_RUNS === '1';

describeRabbit('The fleet on RabbitMQ', (rabbit) =>
  suite('rabbitmq', { transportAt: (url) => rabbitmq({ url }), address: () => rabbit.freshVhostUrl(), kills: true }),
);
describeNats('The fleet on NATS', (server) =>
  suite('nats', { transportAt: natsAt, address: () => server.url(), kills: true }),
);
describePostgres('The fleet on PostgreSQL', (server) =>
  suite('postgres', { transportAt: (url) => postgres({ url }), address: () => server.url(), kills: isLong }),
);
describeRedis('The fleet on Redis', (server) =>
  suite('redis', { transportAt: (url) => redis({ url }), address: () => server.url(), kills: isLong }),
);
