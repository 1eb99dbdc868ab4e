import { afterEach, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { message, type TransportFactory } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';
import { describeKafka } from '../brokers/kafka.js';
import { describeNatsNode } from '../brokers/nats.js';
import { describePostgresNode, type PostgresBroker } from '../brokers/postgres.js';
import { describeRabbitNode } from '../brokers/rabbitmq.js';
import { describeRedisNode } from '../brokers/redis.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications, startApplication } from './application.js';

interface Numbered {
  readonly key: string;
  readonly n: number;
}

const Numbers = message<Numbered>('number');
const PER_TRANSACTION = 10;
const TRANSACTIONS = 20;
const KEYS = 5;
const TIMEOUT_MS = 180_000;
const TITLE = 'a broker that is killed and started again while messages are relayed: none is lost, each key in order';

/** What is on the broker after it was killed amid a relay is looked at afterwards, so that only the relay is judged. */
async function relayed(
  postgres: PostgresBroker,
  transport: TransportFactory,
  restart: () => Promise<void>,
): Promise<void> {
  const url = await postgres.url();
  const pool = new Pool({ connectionString: url, max: 2 });
  try {
    const { messaging, outbox } = await startApplication(
      { url, pollInterval: 20, batchSize: 20 },
      { transport, routes: [], reconnect: { initial: 20, max: 200 } },
    );
    const subscription = await messaging.subscribe(Numbers, () => undefined);
    await subscription.stop();
    const sent: Numbered[] = [];
    const add = async (): Promise<void> => {
      const client = await pool.connect();
      await client.query('begin');
      for (let at = 0; at < PER_TRANSACTION; at++) {
        const n = sent.length;
        const one = { key: `k${n % KEYS}`, n };
        sent.push(one);
        await outbox.add(client, Numbers, one, { key: one.key });
      }
      await client.query('commit');
      client.release();
    };
    const left = async (): Promise<number> => Number((await pool.query('select count(*) from messaging.outbox')).rows[0].count); // prettier-ignore
    await add();
    await waitFor(async () => (await left()) < PER_TRANSACTION, 'the first that are sent');
    for (let at = 2; at < TRANSACTIONS / 2; at++) await add();
    const lost = new Promise((resolve) => messaging.events.on('disconnected', resolve));
    const restarted = restart();
    await lost;
    for (let at = TRANSACTIONS / 2; at <= TRANSACTIONS; at++) await add();
    await restarted;
    await waitFor(async () => (await left()) === 0, 'an empty outbox', 50_000);
    expect(await outbox.parked()).toEqual([]);

    const received: Numbered[] = [];
    await messaging.subscribe({ ...Numbers, prefetch: 500 }, (one) => void received.push(one as Numbered));
    await waitFor(() => new Set(received.map(({ n }) => n)).size === sent.length, 'all that was added', 50_000);
    for (let key = 0; key < KEYS; key++) {
      const numbers = (of: readonly Numbered[]): number[] => [
        ...new Set(of.filter((one) => one.key === `k${key}`).map(({ n }) => n)),
      ];
      expect(numbers(received)).toEqual(numbers(sent));
    }
  } finally {
    await closeApplications();
    await pool.end();
  }
}

describePostgresNode('the relay', (postgres) => {
  if (!postgres.newest) return test.skip('is shown with the newest', () => undefined);
  afterEach(closeApplications);

  describeRabbitNode('over', (rabbit) => {
    const only = rabbit.newest ? test : test.skip;
    only(
      TITLE,
      async () => {
        const node = await rabbit.start();
        await relayed(postgres, rabbitmq({ url: node.url() }), () => node.restart());
      },
      TIMEOUT_MS,
    );
  });

  describeNatsNode('over', (starter) => {
    const only = starter.newest ? test : test.skip;
    only(
      TITLE,
      async () => {
        const server = await starter.start();
        await relayed(postgres, nats({ servers: server.url }), () => server.restart());
      },
      TIMEOUT_MS,
    );
  });

  describeRedisNode('over', (starter) => {
    const only = starter.newest ? test : test.skip;
    only(
      TITLE,
      async () => {
        const server = await starter.start();
        await relayed(postgres, redis({ url: server.url }), () => server.restart());
      },
      TIMEOUT_MS,
    );
  });

  describeKafka(
    'over',
    (starter) => {
      test(
        TITLE,
        async () => {
          const server = await starter.start();
          await relayed(postgres, kafka({ brokers: server.url, partitions: 3 }), () => server.restart());
        },
        TIMEOUT_MS,
      );
    },
    { own: true },
  );
});
