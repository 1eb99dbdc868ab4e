import { expect, test } from '@jest/globals';
import type { Channel, GetMessage } from 'amqplib';
import { MessagingModule, Messaging } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { beforeEachPeers, type Peers } from './peers.js';

describeRabbit('reading a dead-letter queue', (rabbit) => {
  let peers: Peers;
  beforeEachPeers(rabbit, (fresh) => (peers = fresh));

  async function application(): Promise<Messaging> {
    const transport = rabbitmq({ url: peers.url, exchange: 'events' });
    const { messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'ops', transport, consume: false })],
    });
    return messaging;
  }

  /** A queue of 20 messages, with further arguments. */
  async function filled(name: string, more: object): Promise<void> {
    const { channel } = peers;
    await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum', ...more } });
    for (let at = 0; at < 20; at++)
      channel.sendToQueue(name, Buffer.from(`${at}`), { messageId: `${at}`, persistent: true });
    await waitFor(async () => (await channel.checkQueue(name)).messageCount === 20, '20 messages');
  }

  async function takeAll(channel: Channel, name: string): Promise<GetMessage[]> {
    const all: GetMessage[] = [];
    for (let one = await channel.get(name); one; one = await channel.get(name)) all.push(one);
    return all;
  }

  test('keeps the order and the number, marks each as redelivered, and counts one delivery each time', async () => {
    await filled('ops:read:dlq', { 'x-delivery-limit': 1_000_000 });
    const { deadLetters } = await application();
    for (let look = 0; look < 3; look++) expect(await deadLetters.list({ queue: 'ops:read:dlq' })).toHaveLength(20);
    // A look that ends early has taken, and given back, only as far as it went, and one.
    expect(await deadLetters.list({ queue: 'ops:read:dlq' }, { limit: 4 })).toHaveLength(4);
    await closeApplications();
    const all = await takeAll(peers.channel, 'ops:read:dlq');
    expect(all.map(({ properties }) => properties.messageId as string)).toEqual(
      Array.from({ length: 20 }, (_, at) => `${at}`),
    );
    expect(all.every(({ fields }) => fields.redelivered)).toBe(true);
    const counts = all.map(({ properties }) => properties.headers!['x-delivery-count'] as number);
    expect(counts).toEqual([...Array<number>(5).fill(4), ...Array<number>(15).fill(3)]);
  });

  test('ends messages at the delivery limit of their queue: the third look finds what a limit of 1 has dropped', async () => {
    await filled('ops:limited:dlq', { 'x-delivery-limit': 1 });
    const { deadLetters } = await application();
    const found = async (): Promise<number> => (await deadLetters.list({ queue: 'ops:limited:dlq' })).length;
    expect([await found(), await found(), await found()]).toEqual([20, 20, 0]);
    await closeApplications();
  });
});
