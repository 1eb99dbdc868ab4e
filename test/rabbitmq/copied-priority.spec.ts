import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type ChannelModel, connect } from 'amqplib';
import { fixed, MessagingModule } from 'nestjs-messaging';
import { type RabbitmqSubscriptionOptions, rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, Seen } from '../e2e/support/application.js';

const ROUTE = 'order.created';
const QUEUE = `orders:${ROUTE}:queue`;
/** A foreign publisher gives every second one the highest priority, which a quorum queue of RabbitMQ 4 goes by, too. */
const MESSAGES = Array.from({ length: 8 }, (_, n) => ({ id: `m${n + 1}`, priority: n % 2 ? 9 : undefined }));

describeRabbit('messages of which some have a foreign priority and all are retried', (rabbit) => {
  let url: string;
  let plain: ChannelModel;

  beforeEach(async () => {
    url = await rabbit.freshVhostUrl();
    plain = await connect(url);
  });

  afterEach(async () => {
    await closeApplications();
    await plain.close();
  });

  async function start(native: RabbitmqSubscriptionOptions, calls: Seen<string>): Promise<Application> {
    const app = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: rabbitmq({ url, exchange: 'events' }) })],
    });
    const retry = { attempts: 2, backoff: fixed(0) };
    await app.messaging.subscribe({ route: ROUTE, retry, prefetch: 1, rabbitmq: native }, (_, { id, attempt }) => {
      calls.add(`${id} ${attempt}`);
      if (attempt === 1) throw new Error('not yet');
    });
    return app;
  }

  it.each<[string, RabbitmqSubscriptionOptions]>([
    ['a quorum queue', { queueType: 'quorum' }],
    ['a classic queue with priorities', { queueType: 'classic', arguments: { 'x-max-priority': 9 } }],
  ])(
    'are called again after all that came before, in the order of their first calls: %s',
    async (_, native) => {
      await (await start(native, new Seen())).close();
      const channel = await plain.createConfirmChannel();
      for (const { id, priority } of MESSAGES)
        channel.publish('events', ROUTE, Buffer.from('{}'), {
          messageId: id,
          priority,
          contentType: 'application/json',
        });
      await channel.waitForConfirms();
      await waitFor(async () => (await channel.checkQueue(QUEUE)).messageCount === MESSAGES.length, 'all to be there');
      const calls = new Seen<string>();
      await start(native, calls);
      const ids = (await calls.until(2 * MESSAGES.length)).map((call) => call.split(' ')[0]);
      const first = ids.slice(0, MESSAGES.length);
      expect([...first].sort()).toEqual(MESSAGES.map(({ id }) => id));
      expect(calls.all).toEqual([...first.map((id) => `${id} 1`), ...first.map((id) => `${id} 2`)]);
      // What the broker goes by of itself, before this package sees it.
      const byPriority = native.queueType === 'classic';
      if (byPriority) expect(first).toEqual(['m2', 'm4', 'm6', 'm8', 'm1', 'm3', 'm5', 'm7']);
    },
    60_000,
  );

  it('that a publish gives come first, where the queue goes by it, and its place in the publisher retry queue is another', async () => {
    const native = { queueType: 'classic', arguments: { 'x-max-priority': 9 } } as const;
    const before = await start(native, new Seen());
    await before.close();
    const publishes = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'orders',
          consume: false,
          transport: rabbitmq({ url, exchange: 'events' }),
        }),
      ],
    });
    const { publisher } = publishes.messaging;
    for (const { id, priority } of MESSAGES)
      await publisher.publish(ROUTE, {}, { id, priority, retryQueuePriority: priority === undefined ? 9 : 0 });
    const calls = new Seen<string>();
    await start(native, calls);
    const first = (await calls.until(MESSAGES.length)).slice(0, MESSAGES.length).map((call) => call.split(' ')[0]);
    const urgent = MESSAGES.filter(({ priority }) => priority !== undefined).map(({ id }) => id);
    expect(first.slice(0, urgent.length)).toEqual(urgent);
  });
});
