import { randomUUID } from 'node:crypto';
import type { SubscribeRequest } from 'nestjs-messaging';
import { onChannel } from './rabbitmq.js';

export const QUEUE = 'legacy';
export const WANTED: readonly SubscribeRequest[] = [{ route: 'legacy.#', queue: QUEUE, retry: false }];

export interface Taken {
  readonly id: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** As another package leaves it: classic, without arguments, with messages. */
export async function legacy(url: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await onChannel(url, async (channel) => {
    await channel.assertExchange('events', 'topic', { durable: true });
    await channel.assertQueue(QUEUE, { durable: true });
    await channel.bindQueue(QUEUE, 'events', 'legacy.#');
    for (const messageId of ids)
      channel.publish('events', 'legacy.order', Buffer.from(`{"id":"${messageId}"}`), {
        messageId,
        persistent: true,
        headers: { tenant: 7 },
      });
    while ((await channel.checkQueue(QUEUE)).messageCount < count);
  });
  return ids;
}

/** All that is in it now, taken. */
export function taken(url: string, queue = QUEUE): Promise<Taken[]> {
  return onChannel(url, async (channel) => {
    const found: Taken[] = [];
    for (let one = await channel.get(queue); one; one = await channel.get(queue)) {
      found.push({ id: one.properties.messageId, body: one.content.toString(), headers: one.properties.headers ?? {} });
      channel.ack(one);
    }
    return found;
  });
}
