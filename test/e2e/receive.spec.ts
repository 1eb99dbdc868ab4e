import { afterEach, describe, expect, test } from '@jest/globals';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import {
  memory,
  message,
  Messaging,
  MessagingModule,
  type ReceivedMessage,
  Subscribe,
  SubscriptionConflictError,
  type TransportFactory,
} from 'nestjs-messaging';
import { z } from 'zod';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

function application(transport: TransportFactory): Promise<Application> {
  const retry = { attempts: 2, backoff: 50 };
  return boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport, retry })] });
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => `m${n}`);

async function publish({ messaging }: Application, ...some: readonly string[]): Promise<void> {
  const results = await messaging.publisher.publishMany(
    some.map((id) => ({ route: 'order.created', body: { id }, id })),
  );
  expect(results.map(({ outcome }) => outcome)).toEqual(some.map(() => 'confirmed'));
}

/** Makes the queue, so that it keeps what is published. */
async function declared(application: Application): Promise<void> {
  const subscription = await application.messaging.subscribe({ route: 'order.created' }, () => undefined);
  await subscription.stop();
}

describeAllBrokers('A loop over messaging.receive', (fresh) => {
  test('gets the messages of the queue that @Subscribe would have, and acks them', async () => {
    const transport = await fresh();
    const order = message('order.created', z.object({ id: z.string().transform((id) => id.toUpperCase()) }));
    const one = await application(transport());
    await declared(one);
    await publish(one, ...ids(30));
    const seen: string[] = [];
    for await (const { payload, attempt, ack, ...rest } of unbound(one.messaging.receive(order))) {
      expect([attempt, rest.queue]).toEqual([1, 'orders:order.created:queue']);
      expect(await ack()).toBe('ack');
      if (seen.push(payload.id) === 30) break;
    }
    expect([...seen].sort()).toEqual(
      ids(30)
        .map((id) => id.toUpperCase())
        .sort(),
    );
    await one.close();
    const two = await application(transport());
    await publish(two, 'last');
    for await (const { id, ack } of unbound(two.messaging.receive('order.created'))) {
      expect([id, await ack()]).toEqual(['last', 'ack']);
      break;
    }
  });

  test('nack is retried and then a dead letter, as where a handler throws; others go on meanwhile', async () => {
    const one = await application((await fresh())());
    await declared(one);
    await publish(one, 'bad', 'good');
    const seen: string[] = [];
    const dead = event(one.messaging, 'dead-lettered');
    for await (const received of one.messaging.receive('order.created')) {
      const bad = received.id === 'bad';
      const became = await (bad ? received.nack(new Error(`no ${received.attempt}`)) : received.ack());
      if (seen.push(`${received.id} ${received.attempt} ${became}`) < 3) continue;
      await dead;
      const [letter] = await one.messaging.deadLetters.list({ subscription: 'order.created' });
      expect(letter).toMatchObject({
        id: 'bad',
        attempts: 2,
        reason: 'attempts-exhausted',
        error: { message: 'no 2' },
      });
      break;
    }
    expect(seen.sort()).toEqual(['bad 1 retry', 'bad 2 dead-letter', 'good 1 ack']);
  });

  test('what is left unread, by break or at shutdown, comes to the next one with its attempts unspent', async () => {
    const transport = await fresh();
    const one = await application(transport());
    await declared(one);
    await publish(one, ...ids(40));
    const seen: string[] = [];
    for await (const received of one.messaging.receive({ route: 'order.created', prefetch: 20 })) {
      await received.ack();
      if (seen.push(received.id) === 5) break;
    }
    const ended = (async () => {
      for await (const received of one.messaging.receive({ route: 'order.created', prefetch: 20 })) {
        expect(received.attempt).toBe(1);
        seen.push(received.id);
        if (seen.length === 10) void one.close();
        await received.ack();
      }
    })();
    await ended;
    await one.close();
    const two = await application(transport());
    for await (const received of two.messaging.receive('order.created')) {
      expect(received.attempt).toBe(1);
      await received.ack();
      if (seen.push(received.id) === 40) break;
    }
    expect(seen.sort()).toEqual(ids(40).sort());
  });

  test('a signal ends it while it waits', async () => {
    const { messaging } = await application((await fresh())());
    const controller = new AbortController();
    const loop = (async () => {
      for await (const { id } of messaging.receive({ route: 'order.created', signal: controller.signal })) return id;
      return 'ended';
    })();
    await waitFor(() => messaging.health().consumers[0]?.state === 'consuming');
    controller.abort();
    expect(await loop).toBe('ended');
    await waitFor(() => messaging.health().consumers.length === 0);
  });
});

/** With its methods bound, so that a test can take it apart. */
async function* unbound<T>(messages: AsyncIterable<ReceivedMessage<T>>): AsyncGenerator<{
  id: string;
  queue: string;
  payload: T;
  attempt: number;
  ack: () => ReturnType<ReceivedMessage['ack']>;
}> {
  for await (const received of messages) {
    const { id, queue, payload, attempt } = received;
    yield { id, queue, payload, attempt, ack: () => received.ack() };
  }
}

describe('A loop that begins before the application has booted', () => {
  test('beside @Subscribe on its queue refuses the boot, and says what to do', async () => {
    @Injectable()
    class Early implements OnModuleInit {
      constructor(private readonly messaging: Messaging) {}

      onModuleInit(): void {
        void this.messaging.receive('order.created').next();
      }

      @Subscribe('order.created')
      handle(): void {}
    }
    const booting = boot({ imports: [MessagingModule.forRoot({ transport: memory() })], providers: [Early] });
    await expect(booting).rejects.toThrow(SubscriptionConflictError);
    await expect(booting).rejects.toThrow(/app:order\.created:queue.*Give one a «name»/);
  });
});
