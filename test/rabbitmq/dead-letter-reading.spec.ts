import { expect, test } from '@jest/globals';
import type { Channel, GetMessage } from 'amqplib';
import { MessagingModule, type Messaging } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit, isSince } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { beforeEachPeers, type Peers } from './peers.js';

const IDS = Array.from({ length: 20 }, (_, at) => `${at}`);
const idOf = ({ properties }: GetMessage): string => properties.messageId as string;

describeRabbit('reading a dead-letter queue', (rabbit) => {
  /** What was given back counts as taken, and not as a failed delivery any more. */
  const countsTaken = isSince(rabbit.version, '4.3');
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

  test('keeps all, marks each as redelivered, and counts one delivery each time', async () => {
    await filled('ops:read:dlq', { 'x-delivery-limit': 1_000_000 });
    const { deadLetters } = await application();
    for (let look = 0; look < 3; look++) expect(await deadLetters.list({ queue: 'ops:read:dlq' })).toHaveLength(20);
    await closeApplications();
    const all = await takeAll(peers.channel, 'ops:read:dlq');
    expect(all.map(idOf)).toEqual(IDS);
    expect(all.every(({ fields }) => fields.redelivered)).toBe(true);
    const counts = all.map(({ properties }) => properties.headers as object);
    expect(counts).toEqual(IDS.map(() => ({ [countsTaken ? 'x-acquired-count' : 'x-delivery-count']: 3 })));
  });

  test('page by page keeps the order, whether it was read before or not', async () => {
    await filled('ops:order:dlq', { 'x-delivery-limit': 1_000_000 });
    const { deadLetters } = await application();
    const look = async (limit: number, offset: number): Promise<string[]> =>
      (await deadLetters.list({ queue: 'ops:order:dlq' }, { limit, offset })).map(({ id }) => id);
    for (let round = 0; round < 3; round++) {
      const pages = [await look(8, 0), await look(8, 8), await look(8, 16)];
      expect(pages.flat()).toEqual(IDS);
      expect(await look(20, 0)).toEqual(IDS);
    }
    await closeApplications();
  });

  const limited = countsTaken
    ? 'leaves the delivery limit of their queue alone: the third look finds all, with a limit of 1'
    : 'ends messages at the delivery limit of their queue: the third look finds what a limit of 1 has dropped';
  test(limited, async () => {
    await filled('ops:limited:dlq', { 'x-delivery-limit': 1 });
    const { deadLetters } = await application();
    const found = async (): Promise<number> => (await deadLetters.list({ queue: 'ops:limited:dlq' })).length;
    expect([await found(), await found(), await found()]).toEqual([20, 20, countsTaken ? 20 : 0]);
    await closeApplications();
  });

  test('tells of what the broker dead-lettered by itself when, from where, why, and how often', async () => {
    const { channel } = peers;
    const began = Math.floor(Date.now() / 1_000) * 1_000;
    await channel.assertQueue('ops:broker:dlq', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    await channel.assertQueue('ops:broker:queue', {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': 'ops:broker:dlq',
      },
    });
    const copyOfOurs = { 'messaging-origin-queue': 'ops:home:queue', 'messaging-origin-route': 'order.paid' };
    channel.sendToQueue('ops:broker:queue', Buffer.from('1'), { messageId: 'foreign', persistent: true });
    channel.sendToQueue('ops:broker:queue', Buffer.from('2'), { messageId: 'copy', headers: copyOfOurs });
    for (let rejected = 0; rejected < 2;) {
      const message = await channel.get('ops:broker:queue');
      if (!message) continue;
      channel.nack(message, false, false);
      rejected++;
    }
    await waitFor(async () => (await channel.checkQueue('ops:broker:dlq')).messageCount === 2, 'both');
    const { deadLetters } = await application();
    const [foreign, copy] = await deadLetters.list({ queue: 'ops:broker:dlq', newerThan: 3_600_000 });
    expect(foreign).toMatchObject({
      id: 'foreign',
      reason: 'broker: rejected',
      error: { message: 'The broker took it out of «ops:broker:queue» (rejected)' },
      origin: { queue: 'ops:broker:queue' },
    });
    expect(copy).toMatchObject({
      id: 'copy',
      reason: 'broker: rejected',
      route: 'order.paid',
      origin: { queue: 'ops:home:queue' },
    });
    for (const { time } of [foreign, copy]) expect(time).toBeGreaterThanOrEqual(began);
    await closeApplications();
  });
});
