import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { type MessageContext, MessagingModule, Publisher, Subscribe, type TransportFactory } from 'nestjs-messaging';
import { closeApplications, boot, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

describeAllBrokers('an id that is given to several publishes', (fresh) => {
  async function start(transport: TransportFactory): Promise<{ publisher: Publisher; seen: Seen<string> }> {
    const seen = new Seen<string>();
    @Injectable()
    class Handlers {
      @Subscribe('order.changed', { name: 'orders' })
      changed(body: unknown, { id }: MessageContext): void {
        seen.add(`${id} ${JSON.stringify(body)}`);
      }
    }
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport })],
      providers: [Handlers],
    });
    return { publisher: get(Publisher), seen };
  }

  test('stays the message’s, and each confirmed publish is handled, by route, by queue, as one of many and delayed', async () => {
    const { publisher, seen } = await start((await fresh())());
    const id = 'order-1';
    const receipts = [
      await publisher.publish('order.changed', 1, { id }),
      await publisher.publish('order.changed', 2, { id }),
      await publisher.sendToQueue('shop:orders:queue', 3, { id }),
      await publisher.sendToQueue('shop:orders:queue', 4, { id }),
      ...(await publisher.publishMany([
        { route: 'order.changed', body: 5, id },
        { route: 'order.changed', body: 6, id },
      ])),
      await publisher.publish('order.changed', 7, { id, delay: 50 }),
      await publisher.publish('order.changed', 8, { id, delay: 50 }),
    ];
    expect(receipts.map(({ outcome }) => outcome)).toEqual(receipts.map(() => 'confirmed'));
    expect((await seen.until(8)).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((body) => `order-1 ${body}`));
  });
});
