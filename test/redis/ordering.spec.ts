import { afterEach, expect, test } from '@jest/globals';
import type { Delivery } from 'nestjs-messaging/transport';
import { describeRedis } from '../brokers/redis.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeTransports, PlainTransport, queueOf } from './client.js';
import { kill } from './faults.js';

const queue = 'ordered';
let prefixes = 0;

/** By itself, over several processes: nothing that core does. */
describeRedis('the messages of a key', (redis) => {
  afterEach(closeTransports);

  /** Processes of one application of its own. */
  async function processes(count: number, lease = 30_000): Promise<PlainTransport[]> {
    const url = await redis.url();
    const prefix = `ordering-${++prefixes}-${process.pid}`;
    return Promise.all(Array.from({ length: count }, () => PlainTransport.connect({ url, prefix, lease })));
  }

  const keyed = (client: PlainTransport, count: number, keys: number) =>
    Array.from({ length: count }, (_, n) =>
      client.toQueue(queue, { id: `${n}`, headers: { 'messaging-key': `key ${n % keys}`, n } }),
    );

  test('are with one of four processes at a time, in order, all of them; other keys do not wait', async () => {
    const [publisher, ...consumers] = await processes(5);
    await publisher.transport.declare(queueOf(queue));
    const handled: Record<string, number[]> = {};
    const holders = new Map<string, number>();
    const problems: string[] = [];
    let count = 0;
    const consume = async (client: PlainTransport, process: number): Promise<void> => {
      const held = new Map<string, number>();
      await client.consume(queueOf(queue), 4, (delivery) => {
        const { 'messaging-key': key, n } = delivery.message.headers as { 'messaging-key': string; n: number };
        if ((holders.get(key) ?? process) !== process)
          problems.push(`${key} is with ${holders.get(key)} and ${process}`);
        holders.set(key, process);
        held.set(key, (held.get(key) ?? 0) + 1);
        (handled[key] ??= []).push(n);
        setImmediate(() => {
          held.set(key, held.get(key)! - 1);
          if (held.get(key) === 0) holders.delete(key);
          delivery.ack();
          count++;
        });
      });
    };
    await Promise.all(consumers.map(consume));
    const messages = keyed(publisher, 3_000, 5);
    for (let at = 0; at < messages.length; at += 50) await publisher.publish(...messages.slice(at, at + 50));
    await waitFor(() => count >= messages.length, 'every message');
    expect(problems).toEqual([]);
    expect(count).toBe(messages.length);
    expect(Object.keys(handled)).toHaveLength(5);
    for (const order of Object.values(handled)) expect(order).toEqual([...order].sort((a, b) => a - b));
    await waitFor(async () => (await publisher.transport.queues!.list!({}))!.queues[0].inFlight === 0, 'every ack');
  });

  test('wait while an earlier one of theirs is held, and go to another process when that is settled', async () => {
    const [first, second] = await processes(2);
    const held: Delivery[] = [];
    const subscription = await first.consume(queueOf(queue), 1, (delivery) => held.push(delivery));
    await first.publish(...keyed(first, 6, 2));
    await waitFor(() => held.length === 1);
    const others: string[] = [];
    await second.consume(queueOf(queue), 10, (delivery) => {
      others.push(delivery.message.id);
      delivery.ack();
    });
    await waitFor(() => others.length === 3);
    expect([held[0].message.id, others]).toEqual(['0', ['1', '3', '5']]);
    await subscription.stop();
    held[0].ack();
    await waitFor(() => others.length === 5);
    expect(others.slice(3)).toEqual(['2', '4']);
  });

  test('of a process that is gone come again in order, after the lease, and say that they were delivered', async () => {
    const [first, second] = await processes(2, 1_000);
    const held: Delivery[] = [];
    await first.consume(queueOf(queue), 3, (delivery) => held.push(delivery));
    await first.publish(...keyed(first, 8, 1));
    await waitFor(() => held.length === 3);
    const others: Delivery[] = [];
    await second.consume(queueOf(queue), 10, (delivery) => {
      others.push(delivery);
      delivery.ack();
    });
    await kill(first);
    await waitFor(() => others.length === 8);
    expect(others.map(({ message }) => message.id)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
    expect(others.map(({ deliveryCount }) => deliveryCount)).toEqual([1, 1, 1, 0, 0, 0, 0, 0]);
  });

  test('of a process that hangs for longer than its lease go to another, and what the first settles then counts for nothing', async () => {
    const [first, second] = await processes(2, 1_000);
    const held: Delivery[] = [];
    const lost: Delivery[] = [];
    await first.consume(queueOf(queue), 3, (delivery) => held.push(delivery), (delivery) => lost.push(delivery)); // prettier-ignore
    await first.publish(...keyed(first, 3, 1));
    await waitFor(() => held.length === 3);
    const others: Delivery[] = [];
    await second.consume(queueOf(queue), 10, (delivery) => others.push(delivery));
    // It hears and says nothing, as a process whose event loop is blocked.
    const { client } = first.transport.native() as { client: { stream: { pause(): void; cork(): void; resume(): void; uncork(): void } } }; // prettier-ignore
    const { stream } = client;
    stream.pause();
    stream.cork();
    await waitFor(() => others.length === 3);
    const late = held[0].ackConfirmed!();
    const moved = held[1].move!(first.toQueue(queue, { id: 'copy' }));
    stream.uncork();
    stream.resume();
    expect([await late, (await moved).status]).toEqual([false, 'failed']);
    await waitFor(() => lost.length === 2, 'what it did not settle is lost');
    expect(await Promise.all(others.map((delivery) => delivery.ackConfirmed!()))).toEqual([true, true, true]);
  });
});
