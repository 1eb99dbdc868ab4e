import { afterEach, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { DeadLetters, MessagingModule, Publisher, fixed } from 'nestjs-messaging';
import { rabbitmq } from '../../lib/transports/rabbitmq/rabbitmq.js';
import { describeRabbit, type RabbitBroker } from '../brokers/rabbitmq.js';
import { binary } from '../brokers/rabbitmq/erlang.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';

afterEach(closeApplications);

const ROUTE = 'order.created';
const QUEUE = `orders:${ROUTE}:queue`;
/** Of a wait of 100 ms: 64 + 32 + 8. */
const LEVELS = [6, 5, 4, 3].map((level) => `events.delay.${level}`);

async function limitQueues({ node }: RabbitBroker, url: string, limited: boolean): Promise<void> {
  const vhost = binary(decodeURIComponent(new URL(url).pathname.slice(1)));
  const answer = await node!.eval(
    limited
      ? `rabbit_vhost_limit:parse_set(${vhost}, ${binary('{"max-queues": 0}')}, ${binary('test')})`
      : `rabbit_vhost_limit:clear(${vhost}, ${binary('test')})`,
  );
  expect(answer).toBe('{ok, ok}');
}

/** Each must be there: it was made when the subscription began, or it could not have been deleted. */
async function deleteLevels(url: string): Promise<void> {
  const plain = await connect(url);
  const channel = await plain.createChannel();
  for (const level of LEVELS) {
    await channel.checkQueue(level);
    await channel.deleteQueue(level);
  }
  await plain.close();
}

/** Its handler fails at the first attempt of each message. */
async function failingOnce(url: string, calls: Seen<[string, number]>): Promise<Application> {
  const app = await boot({
    imports: [MessagingModule.forRoot({ service: 'orders', transport: rabbitmq({ url, exchange: 'events' }) })],
  });
  const retry = { attempts: 2, backoff: fixed(100) };
  await app.messaging.subscribe({ route: ROUTE, retry }, (_, { id, attempt }) => {
    calls.add([id, attempt]);
    if (attempt === 1) throw new Error('not yet');
  });
  return app;
}

describeRabbit('a retry whose delay levels are gone while the virtual host is at its limit of queues', (rabbit) => {
  const onNode = rabbit.node ? it : it.skip;

  onNode.each([
    ['as the first of its connection', false],
    ['after others have waited there', true],
  ])(
    'is no dead letter, says why, and goes when there is room: %s',
    async (_, used) => {
      const url = await rabbit.freshVhostUrl();
      const calls = new Seen<[string, number]>();
      const app = await failingOnce(url, calls);
      const publish = (id: string) => app.get(Publisher).publish(ROUTE, {}, { id });
      const acked = (id: string) =>
        event(app.messaging, 'settled', ({ delivery, outcome }) => delivery.message.id === id && outcome === 'ack');
      if (used) await Promise.all([acked('before'), publish('before')]);
      await limitQueues(rabbit, url, true);
      await deleteLevels(url);
      calls.all.length = 0;

      const unwritten = new Seen<string>();
      app.messaging.events.on('store-error', ({ error }) => unwritten.add(error.message));
      const dead = event(app.messaging, 'dead-lettered').then(({ reason }) => [reason]);
      const handled = acked('limited');
      await publish('limited');
      // More often than it has attempts: those that gave it back do not count.
      const why = /the delay levels of «events».*limit.* is reached/;
      expect(await Promise.race([unwritten.until(3), dead])).toEqual(Array(3).fill(expect.stringMatching(why)));
      const reason = expect.stringMatching(new RegExp(`a retry or dead letter could not be written.*${why.source}`));
      expect(app.messaging.health()).toMatchObject({ status: 'degraded', consumers: [{ queue: QUEUE, reason }] });
      const told = app.log.lines.filter((line) => line.startsWith('warn') && line.includes('could not be written'));
      expect(told).toHaveLength(3);
      for (const line of told) expect(line).toMatch(why);

      await limitQueues(rabbit, url, false);
      await handled;
      expect(calls.all.slice(0, 3)).toEqual(Array(3).fill(['limited', 1]));
      expect(calls.all.at(-1)).toEqual(['limited', 2]);
      // The retry's own confirm comes on another connection than the retry: it may be seen later.
      await waitFor(() => app.messaging.health().status === 'up', 'health to be up');
      expect(await app.get(DeadLetters).count()).toBe(0);
      expect(app.log.lines.filter((line) => line.startsWith('error'))).toEqual([]);
    },
    60_000,
  );
});
