import { afterEach, expect, it } from '@jest/globals';
import type { Channel } from 'amqplib';
import { type Messaging, MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit, describeRabbitNode } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { Client, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

const QUEUE = 'shop:parcel:queue';
const DLQ = 'shop:parcel:dlq';

async function start(url: string): Promise<Messaging> {
  const transport = rabbitmq({ url, exchange: 'events' });
  const reconnect = { initial: 20, max: 200 };
  const module = MessagingModule.forRoot({ service: 'shop', transport, reconnect });
  return (await boot({ imports: [module] })).messaging;
}

afterEach(closeApplications);

describeRabbit('messages that were delivered three times without a result', (rabbit) => {
  let url: string;
  let channel: Channel;
  let client: Client;

  beforeEachPeers(rabbit, (peers) => ({ url, channel, client } = peers));

  it('are called, one by one, where somebody looked at them and put them back', async () => {
    const first = await (await start(url)).subscribe({ route: 'parcel' }, () => undefined);
    await first.stop();
    const ids = ['a', 'b', 'c'];
    for (const id of ids) await client.insist(toRoute('parcel', id, { body: Buffer.from('{}') }));
    for (let look = 0; look < 5; look++) {
      await waitFor(async () => (await channel.checkQueue(QUEUE)).messageCount === ids.length, 'all in the queue');
      for (let got = 0; got < ids.length; got++)
        await waitFor(async () => (await channel.get(QUEUE)) !== false, 'a message');
      channel.nackAll(true);
    }
    const handled: string[] = [];
    let running = 0;
    let together = 0;
    await closeApplications();
    await (
      await start(url)
    ).subscribe({ route: 'parcel' }, async (_, { id }) => {
      together = Math.max(together, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      handled.push(id);
    });
    await waitFor(() => handled.length === ids.length, 'all of them', 30_000);
    expect(handled.sort()).toEqual(ids);
    expect(together).toBe(1);
    expect((await channel.checkQueue(DLQ)).messageCount).toBe(0);
  }, 60_000);
});

describeRabbitNode('a handler that runs for longer than the broker waits for an ack', (rabbit) => {
  it('is not begun again beside itself, and its result counts when the message comes again', async () => {
    const node = await rabbit.start();
    await node.eval('application:set_env(rabbit, consumer_timeout, 1500)');
    await node.eval('application:set_env(rabbit, channel_tick_interval, 300)');
    const url = node.url(await node.createVhost());
    const messaging = await start(url);
    const calls: { readonly signal: AbortSignal; end(): void }[] = [];
    await messaging.subscribe({ route: 'parcel' }, (_, { signal }) => {
      return new Promise<void>((resolve) => calls.push({ signal, end: resolve }));
    });
    const client = await Client.connect(url);
    await client.insist(toRoute('parcel', 'slow', { body: Buffer.from('{}') }));
    await waitFor(() => calls[0]?.signal.aborted, 'the delivery to be lost', 30_000);
    await waitFor(() => messaging.health().consumers[0].inFlight === 2, 'the message to come again', 30_000);
    expect(messaging.health().consumers[0].reason).toContain('longer than the broker waits');
    calls[0].end();
    await waitFor(() => messaging.health().consumers[0].inFlight === 0, 'the end');
    await waitFor(async () => (await client.transport.queues.depth(QUEUE)) === 0);
    expect([calls.length, await client.transport.queues.depth(DLQ)]).toEqual([1, 0]);
    await client.transport.close();
  }, 120_000);
});
