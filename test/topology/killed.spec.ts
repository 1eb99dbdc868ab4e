import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { connect } from 'amqplib';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import { MessagingModule, Publisher, UnroutableError } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { applyTopology } from 'nestjs-messaging/topology';
import { describeNats } from '../brokers/nats.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { Random, seedOf } from '../fault/random.js';
import { withApp } from './support/application.js';
import { attempt, type Attempt } from './support/attempt.js';
import { legacy, QUEUE, taken, WANTED } from './support/legacy.js';
import { listing } from './support/rabbitmq.js';

const ROUNDS = Number(process.env.KILLS ?? (process.env.LONG_RUNS ? 40 : 1));
/** Published with each step that a process begins. */
const PER_STEP = 5;

interface Round {
  /** In the order in which they come. */
  readonly steps: readonly string[];
  readonly mostWrites: number;
  readonly random: Random;
  /** Resolves with whether it was confirmed. */
  readonly publish: (id: string) => Promise<boolean>;
}

/** Killed once in each of the steps, and called again each time, while others publish. Resolves with the ids of what they have. */
async function killedInEach(given: Attempt, { steps, mostWrites, random, publish }: Round): Promise<string[]> {
  const publishing: Promise<string | undefined>[] = [];
  const publishSome = (): void => {
    for (let count = 0; count < PER_STEP; count++) {
      const id = randomUUID();
      publishing.push(publish(id).then((confirmed) => (confirmed ? id : undefined)));
    }
  };
  const killed: boolean[] = [];
  for (const step of steps)
    killed.push(await attempt({ ...given, kill: { step, writes: random.between(1, mostWrites) } }, publishSome));
  expect(killed).toEqual(steps.map(() => true));
  expect(await attempt(given, publishSome)).toBe(false);
  return (await Promise.all(publishing)).filter((id) => id !== undefined);
}

describeRabbit('a queue whose migration is killed', (rabbit) => {
  const steps = [
    '^lead what is routed',
    '^move .* from «legacy» ',
    '^delete «legacy»$',
    '^make «legacy»',
    '^move .* from «legacy.migrating» ',
    '^delete «legacy.migrating»$',
  ];

  async function round(number: number): Promise<void> {
    const random = new Random(seedOf(7, `${number}`));
    const url = await rabbit.freshVhostUrl();
    const ids = await legacy(url, 40);
    const connection = await connect(url);
    const channel = await connection.createConfirmChannel();
    const publish = (messageId: string): Promise<boolean> =>
      new Promise((resolve) => {
        const options = { messageId, persistent: true, mandatory: true };
        channel.publish('events', 'legacy.order', Buffer.from('{}'), options, (error) => resolve(!error));
      });
    const returned: string[] = [];
    channel.on('return', ({ properties }) => returned.push(properties.messageId));
    const given: Attempt = { system: 'rabbitmq', options: { url }, request: WANTED[0], queue: QUEUE };
    ids.push(...(await killedInEach(given, { steps, mostWrites: 24, random, publish })));
    await connection.close();
    const found = new Set((await taken(url)).map(({ id }) => id));
    expect({ missing: ids.filter((id) => !found.has(id)), returned }).toEqual({ missing: [], returned: [] });
    expect(await listing(rabbit, url)).not.toContain('migrating');
  }

  test(`killed in each of its steps, ${ROUNDS} times each, it ends with every message, and with no other queue`, async () => {
    for (let number = 0; number < ROUNDS; number++) await round(number);
  }, 600_000);
});

describeNats('a queue whose migration to another topic is killed', (server) => {
  const queue = 'shop:moved:queue';
  const steps = ['^route nothing more', '^route to'];
  const requestFor = (topic: string) => ({ route: 'moved', topic, dlq: false as const, retry: false as const });
  let servers: string;
  let app: INestApplicationContext;
  beforeAll(async () => {
    servers = await server.url();
    @Module({
      imports: [MessagingModule.forRoot({ service: 'other', transport: nats({ servers, syncAlways: true }) })],
    })
    class PublishingModule {}
    app = await NestFactory.createApplicationContext(PublishingModule, { logger: false });
  }, 60_000);
  afterAll(() => app.close());

  test(`killed in each of its steps, ${2 * ROUNDS} times each, what was routed to it is there`, async () => {
    const random = new Random(11);
    const options = { servers, syncAlways: true };
    await withApp(nats(options), [requestFor('former')], (one) => applyTopology(one));
    const connection = await connectNats({ servers });
    const { consumers } = (await jetstreamManager(connection)).jetstream();
    for (let number = 0; number < 2 * ROUNDS; number++) {
      // A publisher may know for ten seconds what a queue has taken.
      const topic = `topic-${number}`;
      const publish = async (id: string): Promise<boolean> => {
        try {
          // While the queue is being bound nobody can tell, and it is tried again.
          const { settled } = await app.get(Publisher).publish('moved', {}, { id, topic, backoff: 200 });
          return (await settled).outcome === 'confirmed';
        } catch (error) {
          if (error instanceof UnroutableError) return false;
          throw error;
        }
      };
      const given: Attempt = { system: 'nats', options, request: requestFor(topic), queue };
      const ids = await killedInEach(given, { steps, mostWrites: 4, random, publish });
      ids.push((await app.get(Publisher).publish('moved', {}, { topic })).id);
      const consumer = await consumers.get('events', queue);
      const missing = new Set(ids);
      // Also what was let in while its publisher could not be told so.
      while ((await consumer.info()).num_pending > 0) {
        const message = await consumer.next();
        missing.delete(message!.headers!.get('Message-Id'));
        await message!.ackAck();
      }
      expect([...missing]).toEqual([]);
    }
    await connection.close();
  }, 600_000);
});
