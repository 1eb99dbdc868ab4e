import { afterEach, describe, expect, test } from '@jest/globals';
import { type MessageContext, MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { transpileModule, ModuleKind, ScriptTarget } from 'typescript';
import { announcedNats } from '../brokers/nats/availability.js';
import { NatsServer } from '../brokers/nats/server.js';
import { describeNatsNode } from '../brokers/nats.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Markdown } from '../docs/markdown.js';
import { type Application, boot, closeApplications } from './support/application.js';
import { Program } from './support/program.js';

const reconnect = { initial: 20, max: 200, jitter: 0.2 };
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await closeApplications();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function application(transport: TransportFactory, service = 'orders'): Promise<Application> {
  const retryQueue = { interval: 50, maxMessages: 100_000 };
  return boot({
    imports: [MessagingModule.forRoot({ service, transport, reconnect, retryQueue, unroutable: 'queue' })],
  });
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => `m${n}`);

async function publish({ messaging }: Application, some: readonly string[]): Promise<void> {
  const results = await messaging.publisher.publishMany(
    some.map((id) => ({ route: 'order.created', body: { id }, id })),
  );
  expect(results.filter(({ outcome }) => outcome === 'rejected')).toEqual([]);
}

/** Cuts the connection of a loop again and again, each time with a message in hand. */
async function cutInTheLoop(make: (through?: Proxy) => TransportFactory, proxy: Proxy): Promise<void> {
  cleanups.push(() => proxy.close());
  const [source, consumer] = [await application(make()), await application(make(proxy))];
  const wanted = ids(300);
  const acked = new Set<string>();
  const seen = new Set<string>();
  let received = 0;
  let cuts = 0;
  const messages = consumer.messaging.receive({ route: 'order.created', prefetch: 20 });
  const work = async (): Promise<void> => {
    for await (const message of messages) {
      expect(acked).not.toContain(message.id);
      seen.add(message.id);
      if (++received % 100 === 50 && cuts < 3) {
        cuts++;
        const lost = new Promise<void>((resolve) => message.signal.addEventListener('abort', () => resolve()));
        expect(proxy.reset()).toBeGreaterThan(0);
        await lost;
        expect(await message.ack()).toBe('released');
        continue;
      }
      const became = await message.ack();
      if (became === 'ack') acked.add(message.id);
      else expect(became).toBe('released');
    }
  };
  const working = Promise.all([work(), work(), work()]);
  await waitFor(() => consumer.messaging.health().consumers[0]?.state === 'consuming');
  await publish(source, wanted);
  await waitFor(() => seen.size === wanted.length, 'every message', 30_000);
  await messages.return();
  await working;
  expect(cuts).toBe(3);
  expect(acked.size).toBeGreaterThan(200);
}

describeRabbit('A loop whose connection is cut', (rabbit) => {
  test('goes on, loses nothing, and gets nothing again whose ack it was told of', async () => {
    const url = await rabbit.freshVhostUrl();
    await cutInTheLoop((proxy) => rabbitmq({ url: proxy?.url(url) ?? url }), await Proxy.start(url));
  });
});

describeNatsNode('A loop whose connection is cut', (server) => {
  test('goes on, loses nothing, and gets nothing again whose ack it was told of', async () => {
    const { url } = await server.start();
    // What was on its way when the connection fell comes again when its lease is over.
    const transport = (proxy?: Proxy): TransportFactory =>
      nats({ servers: proxy?.url(url) ?? url, syncAlways: true, ackWait: 2_000 });
    await cutInTheLoop(transport, await Proxy.start(url));
  });
});

/** The bridge that docs/receive.md shows, as an application of its own. */
const bridge = Markdown.read('docs/receive.md').section('A bridge').blocks('ts')[0].code;
const program = `
import { appendFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import { getMessagingToken, getPublisherToken, MessagingModule } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
${transpileModule(bridge, { compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 } }).outputText}
const transports = { rabbitmq: (url) => rabbitmq({ url }), nats: (servers) => nats({ servers, syncAlways: true, ackWait: 1_000 }) };
const side = (connection) => {
  const [kind, url] = process.env[connection].split(' ');
  return MessagingModule.forRoot({ connection, service: 'bridge', transport: transports[kind](url) });
};
class Bridge {}
const module = { module: Bridge, imports: [side('FROM'), side('TO')] };
const app = await NestFactory.createApplicationContext(module, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
const loop = bridge(app.get(getMessagingToken('FROM')), app.get(getPublisherToken('TO')));
await loop;
appendFileSync(process.env.JOURNAL, 'ended\\n');
`;

/** More: BRIDGE_KILLS=20. */
const KILLS = Number(process.env.BRIDGE_KILLS ?? 2);
const BATCH = 80;
/** Of a loop that says nothing else: what was under way at a kill. */
const PREFETCH = 10;
/** What a process may take to start and get through its part on a busy machine. */
const PATIENCE_MS = 60_000;
const ALL_MS = (KILLS + 2) * PATIENCE_MS;

interface Side {
  readonly transport: TransportFactory;
  /** For the program: what it is, and where. */
  readonly setting: string;
}

async function bridged(from: Side, to: Side): Promise<void> {
  const running = new Program(program);
  cleanups.push(() => running.close());
  const [source, target] = [await application(from.transport, 'source'), await application(to.transport, 'target')];
  let wanted = 0;
  const counts = new Map<string, number>();
  await target.messaging.subscribe({ route: 'order.created', prefetch: 100 }, (_: unknown, { id }: MessageContext) => {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  });
  const settings = { FROM: from.setting, TO: to.setting };
  let worker = running.start(settings);
  /** What is published before its queue is there waits for it. */
  const more = async (): Promise<void> => {
    const next = Array.from({ length: BATCH }, (_, n) => `m${wanted + n}`);
    wanted += BATCH;
    await publish(source, next);
  };
  const over = async (count: number): Promise<void> => {
    await waitFor(() => counts.size >= count || !worker.alive, `${count} messages over the bridge`, PATIENCE_MS).catch(
      (error: unknown) => Promise.reject(new Error(`${String(error)}: ${counts.size} came; ${worker.output}`)),
    );
    if (!worker.alive) throw new Error(`The bridge ended by itself: ${worker.output}`);
  };
  for (let kill = 1; kill <= KILLS; kill++) {
    // In the middle of a batch: where this process was slower than the bridge, another one.
    do {
      await more();
      await over(wanted - BATCH * 0.8);
    } while (counts.size === wanted);
    await worker.end('SIGKILL');
    worker = running.start(settings);
  }
  await over(wanted);
  await worker.end('SIGTERM');
  expect(running.lines()).toEqual([['ended']]);
  const copies = [...counts.values()].reduce((sum, count) => sum + count, 0) - wanted;
  expect(copies).toBeLessThanOrEqual(KILLS * PREFETCH);
}

describe('A bridge that is killed again and again loses nothing, doubles what was under way at most, and ends in order', () => {
  const [latest] = announcedNats()
    .available.filter(({ program }) => program !== undefined)
    .slice(-1);

  async function natsSide(): Promise<Side> {
    const server = await NatsServer.start(latest.version, latest.program!);
    cleanups.push(() => server.stop());
    return { transport: nats({ servers: server.url, syncAlways: true }), setting: `nats ${server.url}` };
  }

  describeRabbit('with NATS at its other end', (rabbit) => {
    async function rabbitSide(): Promise<Side> {
      const url = await rabbit.freshVhostUrl();
      return { transport: rabbitmq({ url }), setting: `rabbitmq ${url}` };
    }

    (latest ? test : test.skip)(
      'from RabbitMQ to NATS',
      async () => bridged(await rabbitSide(), await natsSide()),
      ALL_MS,
    );
    // The other way round with one version: it is the other end that differs.
    if (rabbit.version.startsWith('3')) return;
    (latest ? test : test.skip)(
      'from NATS to RabbitMQ',
      async () => bridged(await natsSide(), await rabbitSide()),
      ALL_MS,
    );
  });
});
