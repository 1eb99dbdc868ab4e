import { afterEach, expect, test } from '@jest/globals';
import { AsyncLocalStorage } from 'node:async_hooks';
import { MessagingModule } from 'nestjs-messaging';
import { boot, closeApplications, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

describeAllBrokers('The async context of a request that publishes', (fresh) => {
  test('does not reach handlers: not at once, not delayed, not in a retry', async () => {
    const transport = (await fresh())();
    const retry = { attempts: 2, backoff: 20 };
    const { messaging } = await boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport, retry })] });
    const request = new AsyncLocalStorage<string>();
    const seen = new Seen<string | undefined>();
    await messaging.subscribe({ route: 'asked' }, (_, { attempt }) => {
      seen.add(request.getStore());
      if (attempt === 1) throw new Error('once more');
    });
    await request.run('a request', async () => {
      await messaging.publisher.publish('asked', {});
      await messaging.publisher.publish('asked', {}, { delay: 50 });
    });
    expect(await seen.until(4)).toEqual([undefined, undefined, undefined, undefined]);
  });
});
