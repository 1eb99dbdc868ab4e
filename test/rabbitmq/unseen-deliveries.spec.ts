import { afterEach, expect, it } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { type Client, toRoute } from './client.js';
import { beforeEachPeers } from './peers.js';

const SIZE = 1_000;
const QUEUE = 'shop:parcel:queue';
/** `basic.consume` of this queue: class, method, ticket, name. */
const CONSUME = Buffer.from([0, 60, 0, 20, 0, 0, QUEUE.length, ...Buffer.from(QUEUE)]);

describeRabbit('deliveries that a broken connection took along', (rabbit) => {
  let url: string;
  let client: Client;
  let proxy: Proxy | undefined;

  beforeEachPeers(rabbit, (peers) => ({ url, client } = peers));
  afterEach(async () => {
    await closeApplications();
    await proxy?.close();
  });

  it('are handled when they come again, however often that was: they are no crashes of the message', async () => {
    const transport = rabbitmq({ url: (proxy = await Proxy.start(url)).url(url), exchange: 'events' });
    const reconnect = { initial: 20, max: 200 };
    const { messaging } = await boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport, reconnect })] });
    const handled: string[] = [];
    await messaging.subscribe({ route: 'parcel', prefetch: 10 }, (_, { id }) => void handled.push(id));
    const lost = proxy;
    lost.dropFromBrokerAfter(CONSUME);
    let dropped = lost.droppedBytes;
    lost.reset();
    const ids = Array.from({ length: 10 }, (_, n) => String(n));
    for (const id of ids) await client.insist(toRoute('parcel', id, { body: Buffer.from(`"${'x'.repeat(SIZE)}"`) }));
    for (let cut = 1; cut <= 5; cut++) {
      const all = dropped + ids.length * SIZE;
      await waitFor(() => lost.droppedBytes > all, `deliveries nobody sees, before cut ${cut}`, 30_000);
      if (cut === 5) lost.dropFromBrokerAfter(undefined);
      dropped = lost.droppedBytes;
      lost.reset();
    }
    await waitFor(() => handled.length === ids.length, 'all messages', 30_000);
    expect(handled.sort()).toEqual(ids);
    expect(await client.transport.queues.depth('shop:parcel:dlq')).toBe(0);
  }, 120_000);
});
