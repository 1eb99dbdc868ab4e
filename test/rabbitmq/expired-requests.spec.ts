import { afterEach, expect, test } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { Requester } from 'nestjs-messaging/request';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { beforeEachPeers, type Peers } from './peers.js';

afterEach(closeApplications);

const TIMED_OUT = { code: 'REQUEST_TIMEOUT' };

describeRabbit('a request that nobody takes within its timeout', (rabbit) => {
  let peers: Peers;
  beforeEachPeers(rabbit, (fresh) => (peers = fresh));

  const application = (service: string): Promise<Application> => {
    const transport = rabbitmq({ url: peers.url, exchange: 'events' });
    return boot({ imports: [MessagingModule.forRoot({ service, transport })] });
  };
  const ready = async (queue: string): Promise<number> => (await peers.channel.checkQueue(queue)).messageCount;

  test.each(['quorum', 'classic'] as const)(
    'is taken out of its %s queue by the broker; other messages stay',
    async (queueType) => {
      const route = `quote.${queueType}`;
      const quotes = await application('quotes');
      const subscribe = (): Promise<unknown> =>
        quotes.messaging.subscribe({ route, answers: { always: true }, rabbitmq: { queueType } }, () => 'an answer');
      await subscribe();
      const [{ queue }] = quotes.messaging.health().consumers;
      await quotes.close();

      const shop = await application('shop');
      const requester = shop.get(Requester);
      const asked = Array.from({ length: 5 }, () => requester.request(route, {}, { timeout: 200 }));
      for (const one of await Promise.allSettled(asked)) expect(one).toMatchObject({ reason: TIMED_OUT });
      await shop.messaging.publisher.publish(route, {}, { ttl: 1, replyTo: 'somebody' });
      await waitFor(async () => (await ready(queue)) === 1, 'the end of the requests');
      await expect(requester.request(route, {}, { timeout: 200 })).rejects.toMatchObject(TIMED_OUT);
      // Behind another message it waits for its turn.
      expect(await ready(queue)).toBe(2);
    },
  );

  test('is a dead letter of the broker where its queue has a dead-letter queue, and is handled when it is redriven', async () => {
    const handled: (number | undefined)[] = [];
    const responder = async (): Promise<Application> => {
      const quotes = await application('quotes');
      await quotes.messaging.subscribe({ route: 'quote', dlq: true, answers: { always: true } }, (_, context) => {
        handled.push(context.deadline);
        return context.signal.aborted;
      });
      return quotes;
    };
    const first = await responder();
    const [{ queue }] = first.messaging.health().consumers;
    await first.close();
    const shop = await application('shop');
    const { deadLetters } = shop.messaging;
    const asked = shop.get(Requester).request('quote', {}, { timeout: 200 });
    await expect(asked).rejects.toMatchObject(TIMED_OUT);
    const dlq = { queue: queue.replace(/queue$/, 'dlq') };
    await waitFor(async () => (await deadLetters.list(dlq)).length === 1, 'the dead letter');
    const [letter] = await deadLetters.list(dlq);
    expect(letter).toMatchObject({ reason: 'broker: expired', route: 'quote', origin: { queue } });
    await responder();
    expect(await deadLetters.redrive({ ...dlq, ids: [letter.id] })).toMatchObject({ done: 1 });
    await waitFor(() => handled.length === 1, 'its handling');
    // Nobody waits for it any more, and so it has no deadline.
    expect(handled).toEqual([undefined]);
  });
});
