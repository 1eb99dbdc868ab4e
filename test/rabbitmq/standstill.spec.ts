import { afterEach, expect, it } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { type Clock, systemClock } from '../../lib/clock/clock.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { AmqpGate } from '../fault/amqp-gate.js';
import { type Client, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

/** The watch looks every half minute: on this clock it looks soon. */
const hurried: Clock = {
  ...systemClock,
  after: (delayMs, callback, options) => systemClock.after(delayMs === 30_000 ? 50 : delayMs, callback, options),
};

describeRabbit('a consumer whose deliveries never arrive, on a connection that lives', (rabbit) => {
  let url: string;
  let client: Client;
  let gate: AmqpGate | undefined;

  beforeEachPeers(rabbit, (peers) => ({ url, client } = peers));
  afterEach(async () => {
    await closeApplications();
    await gate?.close();
  });

  it('is attached again and handles everything; health and log tell', async () => {
    gate = await AmqpGate.start(Number(new URL(url).port));
    const through = Object.assign(new URL(url), { port: String(gate.port) }).href;
    const transport = rabbitmq({ url: through, exchange: 'events' });
    const { messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport, clock: hurried })],
    });
    const handled: string[] = [];
    const reasons: string[] = [];
    messaging.events.on('consumer-stopped', ({ reason }) => {
      reasons.push(reason);
      gate!.swallowDeliveries(false);
    });
    await messaging.subscribe({ route: 'parcel', prefetch: 2 }, (_, { id }) => void handled.push(id));
    gate.swallowDeliveries(true);
    const ids = ['a', 'b', 'c', 'd', 'e'];
    for (const id of ids) await client.insist(toRoute('parcel', id));
    await waitFor(() => handled.length === ids.length, 'all messages', 30_000);
    expect(handled.sort()).toEqual(ids);
    expect(gate.swallowed).toBe(2);
    expect(reasons).toEqual([expect.stringMatching(/ready and none has come for 60 s$/)]);
    await waitFor(() => messaging.health().status === 'up', 'health is up again', 30_000);
    expect(await client.transport.queues.depth('shop:parcel:dlq')).toBe(0);
  }, 120_000);
});
