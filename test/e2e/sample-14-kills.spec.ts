import { afterEach, describe, expect, jest, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import type { Receipt } from 'nestjs-messaging';
import { BridgeModule } from '../../sample/14-bridge/bridge.module.js';
import { BridgeService } from '../../sample/14-bridge/bridge.service.js';
import { guide } from '../../sample/14-bridge/guide.js';
import { type Hop, HOPS, VARIABLES } from '../../sample/14-bridge/hops.js';
import { describeKafka } from '../brokers/kafka.js';
import { describeNatsNode } from '../brokers/nats.js';
import { describePostgresNode } from '../brokers/postgres.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbitNode } from '../brokers/rabbitmq.js';
import { describeRedisNode } from '../brokers/redis.js';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';
import { event } from './support/application.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

jest.setTimeout(300_000);

type Urls = Readonly<Record<string, string>>;

/** Orders of each round; a round for each broker. */
const ROUND = 30;
const QUEUE = 'bridge:order.placed:queue';

describe('sample 14, a bridge over all brokers', () => {
  let app: INestApplication | undefined;
  afterEach(() => app?.close());

  async function start(urls: Urls): Promise<{ bridge: BridgeService; place: string; look: string }> {
    const nowhere = Object.fromEntries(VARIABLES.map((variable) => [variable, undefined]));
    app = await serve(BridgeModule, { ...nowhere, ...urls });
    const [place, look] = curlLines(guide(await app.getUrl()));
    return { bridge: app.get(BridgeService), place, look };
  }

  test('hands orders on over embedded brokers', async () => {
    const { place, look } = await start({});
    expect((await curl(place)).status).toBe(201);
    await waitFor(async () => (await curl(look)).body.nats.orders === 20, 'all orders at the end');
    expect((await curl(look)).body).toEqual(Object.fromEntries(HOPS.map((hop) => [hop, { orders: 20, again: 0 }])));
    expect((await curl(place.replace('20}', '0}'))).status).toBe(400);
  });

  /**
   * A round for each broker: half of its orders are on their way when the first of them comes to that broker, whose fault
   * begins; the other half is placed when the application has noticed.
   */
  async function survives(
    urls: Urls,
    faults: Readonly<Record<Hop, (lost: Promise<unknown>) => Promise<unknown>>>,
  ): Promise<void> {
    const { bridge, look } = await start(urls);
    const { publisher } = bridge.messagingOf(HOPS[0]);
    const placed = new Map<string, Promise<Receipt>>();
    const place = (id: string, customer: string): void =>
      void placed.set(id, publisher.publish('order.placed', { customer }, { id, key: customer }));
    for (const hop of HOPS) {
      const ids = Array.from({ length: ROUND }, (_, at) => `${hop}-${at}`);
      const lost = event(bridge.messagingOf(hop), 'disconnected');
      const here = bridge.passed.get(hop)!;
      for (const [at, id] of ids.slice(0, ROUND / 2).entries()) place(id, `customer-${at % 10}`);
      await waitFor(() => ids.some((id) => here.has(id)), `an order of its round on ${hop}`, 60_000);
      const healed = faults[hop](lost);
      await lost;
      for (const [at, id] of ids.slice(ROUND / 2).entries()) place(id, `customer-${at % 10}`);
      await healed;
    }
    const all = [...placed.keys()].sort();
    expect(all).toHaveLength(HOPS.length * ROUND);
    const receipts = await Promise.all(placed.values());
    const settled = await Promise.all(receipts.map((receipt) => receipt.settled));
    expect(new Set(settled.map(({ outcome }) => outcome))).toEqual(new Set(['confirmed']));
    // What came is what was placed, on every broker: what came twice has the id of its original.
    const last = bridge.passed.get(HOPS.at(-1)!)!;
    await waitFor(() => all.every((id) => last.has(id)), 'every order at the end', 120_000);
    for (const hop of HOPS) expect([...bridge.passed.get(hop)!.keys()].sort()).toEqual(all);
    // And nothing is left on the way: neither in a queue, nor given up, nor waiting to be sent.
    for (const hop of HOPS) {
      const messaging = bridge.messagingOf(hop);
      await waitFor(async () => (await messaging.depth(QUEUE)) === 0, `an empty queue of ${hop}`, 60_000);
      expect({ hop, dead: await messaging.deadLetters.count() }).toEqual({ hop, dead: 0 });
      expect({ hop, queued: messaging.health().retryQueue.depth }).toEqual({ hop, queued: 0 });
    }
    const { body } = await curl(look);
    expect(Object.values(body as object).map(({ orders }) => orders as number)).toEqual(HOPS.map(() => all.length));
  }

  // The emulator of SQS keeps everything in memory: its connections are cut, and refused until that is noticed. Each of the
  // other brokers gets SIGKILL and is started again on its data.
  describeSqs('over', (sqs) =>
    describeKafka(
      'and',
      (kafka) =>
        describeRabbitNode('and', (rabbit) =>
          describeRedisNode('and', (redis) =>
            describePostgresNode('and', (postgres) =>
              describeNatsNode('and', (nats) => {
                const newest = [rabbit, redis, postgres, nats].every((broker) => broker.newest);
                const only = newest && sqs.ours ? test : test.skip;
                only('each of them killed once on the way, and started again on its data: none is lost', async () => {
                  const [emulator, log, node, cache, database, stream] = await Promise.all([
                    sqs.start(),
                    kafka.start(),
                    rabbit.start(),
                    redis.start(),
                    postgres.start(),
                    nats.start(),
                  ] as const);
                  const proxy = await Proxy.start(emulator.url);
                  try {
                    await survives(
                      {
                        SQS_URL: `http://127.0.0.1:${proxy.port}`,
                        KAFKA_URL: log.url,
                        AMQP_URL: node.url(),
                        REDIS_URL: cache.url,
                        DATABASE_URL: database.url(),
                        NATS_URL: stream.url,
                      },
                      {
                        // A request that a broken socket took along is sent again at once: the outage lasts until it is noticed.
                        sqs: async (lost) => {
                          await proxy.refuse(true);
                          proxy.reset();
                          await lost;
                          await proxy.refuse(false);
                        },
                        kafka: () => log.restart(),
                        rabbitmq: () => node.restart(),
                        redis: () => cache.restart(),
                        postgres: () => database.restart(),
                        nats: () => stream.restart(),
                      },
                    );
                  } finally {
                    await app?.close();
                    app = undefined;
                    await proxy.close();
                  }
                });
              }),
            ),
          ),
        ),
      { own: true },
    ),
  );
});
