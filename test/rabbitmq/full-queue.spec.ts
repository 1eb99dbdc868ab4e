import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { ManualClock } from '../../lib/clock/manual-clock.js';
import type { Destination } from '../../lib/transport/outgoing.js';
import { rabbitmq } from '../../lib/transports/rabbitmq/rabbitmq.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';

const INTERVAL_MS = 100;
const FULL = ['order.created', 'order.paid'] as const;
const DECLINED = 'RabbitMQ did not take the message (nack): a queue is full or has no leader';

describeRabbit('a route of which one queue is full and rejects', (rabbit) => {
  let plain: ChannelModel;
  let channel: Channel;
  let app: Application;
  let clock: ManualClock;
  /** How often the broker declined a message, by route. */
  let declined: Map<string, number>;

  beforeEach(async () => {
    const url = await rabbit.freshVhostUrl();
    plain = await connect(url);
    plain.on('error', () => {});
    channel = await plain.createChannel();
    await channel.assertExchange('events', 'topic');
    for (const route of FULL) {
      await queueOf(`full ${route}`, route, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
      channel.sendToQueue(`full ${route}`, Buffer.from('the one that fits'));
      await waitFor(async () => (await channel.checkQueue(`full ${route}`)).messageCount === 1, 'a full queue');
    }
    await queueOf('healthy', FULL[0]);
    await queueOf('others', 'order.shipped');
    clock = new ManualClock();
    declined = new Map();
    app = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'orders',
          transport: rabbitmq({ url, exchange: 'events' }),
          retryQueue: { interval: INTERVAL_MS },
          telemetry: { create: () => ({ ...silent, sent: count }) },
          clock,
        }),
      ],
    });
  }, 60_000);

  afterEach(async () => {
    await closeApplications();
    await plain.close();
  });

  const silent = {
    start: () => Promise.resolve(),
    publish: () => undefined,
    resend: () => undefined,
    consumer: () => undefined,
    close: () => {},
  };

  function count(to: Destination, error: unknown): void {
    if (error !== undefined && to.kind === 'route') declined.set(to.route, (declined.get(to.route) ?? 0) + 1);
  }

  async function queueOf(name: string, route: string, more: object = {}): Promise<void> {
    await channel.assertQueue(name, { arguments: { 'x-queue-type': 'classic', ...more } });
    await channel.bindQueue(name, 'events', route);
  }

  async function idsIn(queue: string): Promise<string[]> {
    const ids: string[] = [];
    for (let got = await channel.get(queue, { noAck: true }); got; got = await channel.get(queue, { noAck: true }))
      ids.push(got.properties.messageId as string);
    return ids;
  }

  const publish = (route: string, id?: string) => app.get(Publisher).publish(route, {}, { id });
  const declinedEach = (times: number): Promise<void> =>
    waitFor(() => FULL.every((route) => (declined.get(route) ?? 0) >= times), `refusal ${times} of each`);

  it('queues the message, sends it after waits that double, tells it once per route, and holds up no other', async () => {
    const receipts = [];
    for (const route of FULL) receipts.push(await publish(route, `for ${route}`));
    expect(receipts.map(({ outcome, stored }) => [outcome, stored])).toEqual(Array(2).fill(['queued', 'memory']));
    // An ack in between: after three refusals in a row the channel is replaced.
    expect((await publish('order.shipped')).outcome).toBe('confirmed');
    let sends = 1;
    for (let step = 1; step < 2 ** 5; step++) {
      await clock.advance(INTERVAL_MS);
      // Waits of 1, 2, 4, 8 and 16 intervals end after 1, 3, 7, 15 and 31.
      if (step === 2 ** sends - 1) await declinedEach(++sends);
      expect((await publish('order.shipped')).outcome).toBe('confirmed');
    }
    expect([...declined]).toEqual(FULL.map((route) => [route, sends]));
    const { status, retryQueue } = app.messaging.health();
    const since = new Date(clock.now() - 31 * INTERVAL_MS).toISOString();
    expect(status).toBe('degraded');
    expect(retryQueue).toMatchObject({ depth: 2, nacked: FULL.map((to) => ({ to, since, reason: DECLINED })) });
    const warnings = app.log.lines.filter((line) => line.startsWith('warn'));
    expect(warnings).toEqual(FULL.map((route) => expect.stringContaining(`takes no messages for «${route}»`)));

    for (const route of FULL) await channel.purgeQueue(`full ${route}`);
    await clock.advance(2 ** 5 * INTERVAL_MS);
    expect(await Promise.all(receipts.map(({ settled }) => settled))).toEqual(
      FULL.map((route) => ({ id: `for ${route}`, outcome: 'confirmed' })),
    );
    expect(app.messaging.health()).toMatchObject({ status: 'up', retryQueue: { depth: 0 } });
    expect(app.messaging.health().retryQueue.nacked).toBeUndefined();
    for (const route of FULL) expect(await idsIn(`full ${route}`)).toEqual([`for ${route}`]);
    expect(await idsIn('healthy')).toEqual(Array(sends + 1).fill(`for ${FULL[0]}`));
    expect(await idsIn('others')).toHaveLength(2 ** 5);
  });
});
