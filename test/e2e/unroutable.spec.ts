import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { type MessagingError, MessagingModule, Publisher, Subscribe, type TransportFactory } from 'nestjs-messaging';
import { type Application, boot, closeApplications } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

@Injectable()
class Shop {
  constructor(private readonly publisher: Publisher) {}

  @Subscribe(['order.created', 'order.paid'], { name: 'orders' })
  onOrder(): void {}

  async placeOrder(route: string): Promise<void> {
    await this.publisher.publish(route, {});
  }

  async sendDirectly(queue: string): Promise<void> {
    await this.publisher.sendToQueue(queue, {});
  }
}

function application(transport: TransportFactory, options: object = {}): Promise<Application> {
  const imports = [MessagingModule.forRoot({ service: 'shop', transport, ...options })];
  return boot({ imports, providers: [Shop] });
}

const failure = (promise: Promise<unknown>): Promise<MessagingError> =>
  promise.then(
    () => Promise.reject(new Error('It did not fail')),
    (error: MessagingError) => error,
  );

describeAllBrokers('A publish to a route that no queue is bound for', (fresh) => {
  test('says what is near and what this process has bound, and shows the line that published', async () => {
    const application_ = await application((await fresh())());
    const shop = application_.get(Shop);
    const error = await failure(shop.placeOrder('order.craeted'));
    expect(error.code).toBe('UNROUTABLE');
    expect(error.message).toMatch(
      /«order\.craeted».*Did you mean «order\.created»\? The routes that this process binds on «events»: order\.created, order\.paid; what other processes bind is not known here$/,
    );
    expect(error.stack).toContain(error.message);
    expect(error.stack).toMatch(/at (async )?Shop\.placeOrder \(.*unroutable\.spec\.ts:\d+:\d+\)/);
    const direct = await failure(shop.sendDirectly('shop:order:queue'));
    expect(direct.message).toMatch(/Did you mean «shop:orders:queue»\? The queues of this process: shop:orders:queue;/);
    expect(direct.stack).toMatch(/at (async )?Shop\.sendDirectly /);
  });

  test('shows it behind publish middleware and in a batch of publishes as well', async () => {
    const publishMiddleware = [(request: unknown, next: (request: never) => Promise<never>) => next(request as never)];
    const application_ = await application((await fresh())(), { publishMiddleware });
    const error = await failure(application_.get(Shop).placeOrder('nobody'));
    expect(error.stack).toMatch(/at (async )?Shop\.placeOrder /);
    expect(error.message).not.toContain('Did you mean');
    async function publishAll(): Promise<unknown> {
      return await Promise.all(['a', 'b'].map((route) => application_.messaging.publisher.publish(route, {})));
    }
    expect((await failure(publishAll())).stack).toMatch(/at (async )?publishAll /);
  });
});
