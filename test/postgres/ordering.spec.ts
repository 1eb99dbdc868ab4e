import { afterEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import type { Delivery } from 'nestjs-messaging/transport';
import { describePostgres } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeTransports, PlainTransport, queueOf } from './client.js';

const queue = 'ordered';

/** By itself, over several processes: nothing that core does. */
describePostgres('the messages of a key', (postgres) => {
  afterEach(closeTransports);

  const keyed = (client: PlainTransport, count: number, keys: number) =>
    Array.from({ length: count }, (_, n) =>
      client.toQueue(queue, { id: `${n}`, headers: { 'messaging-key': `key ${n % keys}`, n } }),
    );

  test('are with one of four processes at a time, in order, all of them; other keys do not wait', async () => {
    const url = await postgres.url();
    const publisher = await PlainTransport.connect({ url });
    await publisher.transport.declare(queueOf(queue));
    const handled: Record<string, number[]> = {};
    const holders = new Map<string, number>();
    const problems: string[] = [];
    let count = 0;
    const consume = async (process: number): Promise<void> => {
      const client = await PlainTransport.connect({ url });
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
    await Promise.all([0, 1, 2, 3].map(consume));
    const messages = keyed(publisher, 3_000, 5);
    for (let at = 0; at < messages.length; at += 50) await publisher.publish(...messages.slice(at, at + 50));
    await waitFor(() => count >= messages.length, 'every message');
    expect(problems).toEqual([]);
    expect(count).toBe(messages.length);
    expect(Object.keys(handled)).toHaveLength(5);
    for (const order of Object.values(handled)) expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test('wait while an earlier one of theirs is held, and go to another process when that is settled', async () => {
    const url = await postgres.url();
    const [first, second] = [await PlainTransport.connect({ url }), await PlainTransport.connect({ url })];
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

  test('are not passed over where somebody locks an earlier one at this moment; other keys do not wait', async () => {
    const url = await postgres.url();
    const client = await PlainTransport.connect({ url, pollInterval: 50 });
    await client.transport.declare(queueOf(queue));
    await client.publish(...keyed(client, 8, 2));
    const other = new Client({ connectionString: url });
    await other.connect();
    // As a claim does that will not get the key.
    await other.query(`begin; select from messaging.messages where head->>'id' = '2' for update`);
    const ids: string[] = [];
    await client.consume(queueOf(queue), 10, (delivery) => {
      ids.push(delivery.message.id);
      delivery.ack();
    });
    await waitFor(() => ids.length === 5);
    expect([...ids].sort()).toEqual(['0', '1', '3', '5', '7']);
    await other.query('rollback');
    await waitFor(() => ids.length === 8);
    expect(ids.slice(5)).toEqual(['2', '4', '6']);
    await other.end();
  });

  test('of a process that is gone come again in order, after the lease', async () => {
    const url = await postgres.url();
    const [first, second] = [
      await PlainTransport.connect({ url, lease: 1_000 }),
      await PlainTransport.connect({ url, lease: 1_000 }),
    ];
    const held: Delivery[] = [];
    await first.consume(queueOf(queue), 3, (delivery) => held.push(delivery));
    await first.publish(...keyed(first, 8, 1));
    await waitFor(() => held.length === 3);
    // As a process that was killed: its connections end, and nothing is given back.
    const pool = (first.transport.native() as { pool: { end(): Promise<void> } }).pool;
    const others: string[] = [];
    await second.consume(queueOf(queue), 10, (delivery) => {
      others.push(delivery.message.id);
      delivery.ack();
    });
    await pool.end();
    await waitFor(() => others.length === 8);
    expect(others).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
  });
});

describePostgres('a queue', (postgres) => {
  afterEach(closeTransports);

  test('hands over what has a higher priority first, and equal ones in order', async () => {
    const client = await PlainTransport.connect({ url: await postgres.url() });
    await client.transport.declare(queueOf(queue));
    const priorities = [0, 5, undefined, 9, 5, 255, 300, -1];
    await client.publish(
      ...priorities.map((priority, n) => client.toQueue(queue, { id: `${n}`, properties: { priority } })),
    );
    const ids: string[] = [];
    await client.consume(queueOf(queue), 100, (delivery) => {
      ids.push(delivery.message.id);
      delivery.ack();
    });
    await waitFor(() => ids.length === priorities.length);
    expect(ids).toEqual(['5', '6', '3', '1', '4', '0', '2', '7']);
  });

  test('of which a message is moved has it or its copy, never both and never neither', async () => {
    const url = await postgres.url();
    const [client, other] = [
      await PlainTransport.connect({ url, lease: 1_000 }),
      await PlainTransport.connect({ url }),
    ];
    for (const name of [queue, 'other']) await client.transport.declare(queueOf(name));
    await client.publish(client.toQueue(queue, { id: 'moved' }), client.toQueue(queue, { id: 'kept' }));
    const held: Delivery[] = [];
    await client.consume(queueOf(queue), 10, (delivery) => held.push(delivery));
    await waitFor(() => held.length === 2);
    const [moved, kept] = held;
    const depths = () => Promise.all([queue, 'other'].map((name) => other.transport.queues!.depth(name)));
    expect(await moved.move!(client.toQueue('other', { id: 'moved' }))).toEqual({ status: 'confirmed' });
    expect(await moved.move!(client.toQueue('other', { id: 'moved' }))).toMatchObject({ status: 'failed' });
    expect(await kept.move!(client.toQueue('nowhere', { id: 'kept' }))).toMatchObject({ status: 'unroutable' });
    expect(await depths()).toEqual([0, 1]);
    kept.release();
    await waitFor(() => held.length === 3);
    // Another has it by now, and the first does not know.
    await (client.transport.native() as { pool: { query(text: string): Promise<unknown> } }).pool.query(
      'update messaging.messages set attempt = attempt + 1',
    );
    expect(await held[2].move!(client.toQueue('other', { id: 'kept' }))).toMatchObject({ status: 'failed' });
    expect((await depths())[1]).toBe(1);
  });
});
