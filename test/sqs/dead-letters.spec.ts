import { afterEach, expect, it } from '@jest/globals';
import { Injectable, Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DeadLetters, MessagingModule, Publisher, Subscribe } from 'nestjs-messaging';
import { sqs } from 'nestjs-messaging/sqs';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';

Logger.overrideLogger(false);
let applications = 0;

@Injectable()
class Orders {
  isBroken = true;
  readonly handled: number[] = [];

  @Subscribe('order.placed', { queue: 'orders', retry: { attempts: 1 } })
  place({ n }: { n: number }): void {
    if (this.isBroken) throw new Error(`broken ${n}`);
    this.handled.push(n);
  }
}

describeSqs('Dead letters in queues of SQS, without an archive', (broker) => {
  const open: TestingModule[] = [];
  afterEach(async () => void (await Promise.all(open.splice(0).map((app) => app.close()))));

  it.each([false, true])(
    'are counted, listed with their errors, deleted by id and redriven (FIFO: %s)',
    async (fifo) => {
      const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
      const settings = { region: 'us-east-1', endpoint: await broker.url(), prefix: `dead-${++applications}-` };
      const transport = sqs({ ...settings, fifo, waitTime: 0, options: { credentials } });
      const module = await Test.createTestingModule({
        imports: [MessagingModule.forRoot({ service: 'shop', transport })],
        providers: [Orders],
      }).compile();
      open.push(module);
      await module.init();
      const [orders, publisher, deadLetters] = [module.get(Orders), module.get(Publisher), module.get(DeadLetters)];
      for (let n = 0; n < 12; n++) await publisher.publish('order.placed', { n }, { key: `k${n}` });
      await waitFor(async () => (await deadLetters.count()) === 12, 'twelve dead letters');
      const letters = await deadLetters.list();
      expect(letters.map(({ error }) => error.message).sort()).toEqual(Array.from({ length: 12 }, (_, n) => `broken ${n}`).sort()); // prettier-ignore
      await deadLetters.delete({ ids: [letters[0].id] });
      expect(await deadLetters.count()).toBe(11);
      orders.isBroken = false;
      expect(await deadLetters.redrive()).toMatchObject({ matched: 11 });
      await waitFor(() => orders.handled.length === 11, 'all that are left');
      expect(new Set(orders.handled).size).toBe(11);
      await waitFor(async () => (await deadLetters.count()) === 0, 'no dead letter');
    },
  );
});
