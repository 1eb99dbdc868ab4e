import { afterEach, expect, it } from '@jest/globals';
import amqp, { type Channel, type ChannelModel, type GetMessage } from 'amqplib';
import { MessagingModule, Publisher, fixed } from 'nestjs-messaging';
import { rabbitmq } from '../../lib/transports/rabbitmq/rabbitmq.js';
import { binary } from '../brokers/rabbitmq/erlang.js';
import { describeRabbit, describeRabbitNode } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';

let connection: ChannelModel | undefined;

afterEach(async () => {
  await closeApplications();
  await connection?.close();
  connection = undefined;
});

const ROUTE = 'order.created';
const QUEUE = `orders:${ROUTE}:queue`;

/** The exchange and the queue of somebody who has dead letters of their own. */
async function owner(url: string, type: 'fanout' | 'direct', ...keys: string[]): Promise<Channel> {
  connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  await channel.assertExchange('owner.dlx', type);
  await channel.assertQueue('owner.dead');
  for (const key of keys) await channel.bindQueue('owner.dead', 'owner.dlx', key);
  return channel;
}

async function dead(channel: Channel): Promise<GetMessage> {
  let found: GetMessage | false = false;
  await waitFor(async () => (found = await channel.get('owner.dead', { noAck: true })), 'the dead letter');
  return found as unknown as GetMessage;
}

async function failing(url: string, options: object, attempts = 1) {
  const application = await boot({
    imports: [MessagingModule.forRoot({ service: 'orders', transport: rabbitmq({ url, exchange: 'events' }) })],
  });
  const handler = (): never => {
    throw new Error('no');
  };
  const retry = { attempts, backoff: fixed(10) };
  await application.messaging.subscribe({ route: ROUTE, dlq: false, retry, ...options }, handler);
  await application.get(Publisher).publish(ROUTE, { id: 1 }, { id: 'given-up' });
}

describeRabbit('with dlq: false what is given up comes to the dead-letter exchange of the queue’s owner', (rabbit) => {
  it.each(['quorum', 'classic'] as const)('a %s queue with the argument', async (queueType) => {
    const url = await rabbit.freshVhostUrl();
    const channel = await owner(url, 'fanout', '');
    await failing(url, { rabbitmq: { queueType, arguments: { 'x-dead-letter-exchange': 'owner.dlx' } } });
    expect((await dead(channel)).properties).toMatchObject({ messageId: 'given-up' });
  });

  it('after a retry its routing key is the name of its queue', async () => {
    const url = await rabbit.freshVhostUrl();
    const channel = await owner(url, 'direct', ROUTE, QUEUE);
    await failing(url, { rabbitmq: { arguments: { 'x-dead-letter-exchange': 'owner.dlx' } } }, 2);
    expect((await dead(channel)).fields.routingKey).toBe(QUEUE);
  });
});

describeRabbitNode('with dlq: false what is given up comes to the dead-letter exchange of a policy', (rabbit) => {
  it('no client is told of it', async () => {
    const node = await rabbit.start();
    const vhost = await node.createVhost();
    const url = node.url(vhost);
    const channel = await owner(url, 'fanout', '');
    const policy = `[{${binary('dead-letter-exchange')}, ${binary('owner.dlx')}}]`;
    await node.eval(
      `rabbit_policy:set(${binary(vhost)}, ${binary('dlx')}, ${binary('^orders:')}, ${policy}, 0, ${binary('queues')}, ${binary('test')})`,
    );
    await failing(url, {});
    expect((await dead(channel)).properties).toMatchObject({ messageId: 'given-up' });
  }, 60_000);
});
