import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DeadLetters,
  MessagingModule,
  Publisher,
  Subscribe,
  type SubscriptionOptions,
  type TransportFactory,
  UnrecoverableError,
  UnroutableError,
} from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

interface Version {
  readonly route: string;
  readonly options?: SubscriptionOptions;
  readonly handle?: (message: unknown) => void;
}

/** The service as it is deployed with this subscription «billing». */
function deploy(transport: TransportFactory, { route, options, handle = () => {} }: Version): Promise<Application> {
  @Injectable()
  class Billing {
    @Subscribe(route, { name: 'billing', ...options })
    bill(message: unknown): void {
      handle(message);
    }
  }
  return boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport })], providers: [Billing] });
}

const consuming = ({ messaging }: Application): Promise<void> =>
  waitFor(() => messaging.health().consumers[0]?.state === 'consuming', 'the consumer');

describeAllBrokers('A subscription that changed since the last start', (fresh) => {
  test('gets nothing by a route that it had before and has no more', async () => {
    const transport = await fresh();
    const before = await deploy(transport(), { route: 'order.created' });
    await consuming(before);
    await before.close();
    const seen = new Seen<unknown>();
    const now = await deploy(transport(), { route: 'order.paid', handle: (message) => seen.add(message) });
    await consuming(now);
    const publisher = now.get(Publisher);
    await expect(publisher.publish('order.created', 'old')).rejects.toBeInstanceOf(UnroutableError);
    await publisher.publish('order.paid', 'new');
    expect(await seen.until(1)).toEqual(['new']);
  });

  test('takes what is published by the old route as long as a process of the earlier version runs', async () => {
    const transport = await fresh();
    const before = await deploy(transport(), { route: 'order.created' });
    await consuming(before);
    const now = await deploy(transport(), { route: 'order.paid' });
    await expect(now.get(Publisher).publish('order.created', 'old')).resolves.toMatchObject({ outcome: 'confirmed' });
  });

  test('whose dead-letter queue has another name does not get dead letters twice', async () => {
    const transport = await fresh();
    const fails = {
      route: 'order.created',
      handle: () => {
        throw new UnrecoverableError('no');
      },
    };
    const before = await deploy(transport(), { ...fails, options: { dlq: { queue: 'old.dlq' } } });
    await consuming(before);
    await before.close();
    const deployed = deploy(transport(), { ...fails, options: { dlq: { queue: 'new.dlq' } } });
    const now = await deployed.catch((error: unknown) => error as Error);
    // NATS and the embedded broker know what a queue has, and refuse.
    if (now instanceof Error) {
      expect(now.message).toMatch(/another .*new\.dlq.*old\.dlq/s);
      return;
    }
    await consuming(now);
    const dead = event(now.messaging, 'dead-lettered');
    await now.get(Publisher).publish('order.created', 'x');
    await dead;
    const letters = now.get(DeadLetters);
    await waitFor(async () => (await letters.count({ queue: 'new.dlq' })) === 1, 'the dead letter');
    expect(await letters.count({ queue: 'old.dlq' })).toBe(0);
  });
});
