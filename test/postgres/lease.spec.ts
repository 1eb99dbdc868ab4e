import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import type { Delivery } from 'nestjs-messaging/transport';
import { statementsOf } from '../../lib/transports/postgres/claims.js';
import { describePostgres } from '../brokers/postgres.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeTransports, PlainTransport, queueOf } from './client.js';

const queue = 'leased';

describePostgres('the lease of a message', (postgres) => {
  const proxies: Proxy[] = [];
  afterEach(async () => {
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
    await closeTransports();
  });

  test('that a hanging process loses is told it, its late ack does nothing, and another has handled it', async () => {
    const url = await postgres.url();
    const proxy = await Proxy.start(url);
    proxies.push(proxy);
    const frozen = await PlainTransport.connect({ url: proxy.url(url), lease: 1_000 });
    const other = await PlainTransport.connect({ url, lease: 30_000 });
    const [held, lost]: [Delivery[], Delivery[]] = [[], []];
    await frozen.consume(
      queueOf(queue),
      2,
      (delivery) => held.push(delivery),
      (delivery) => lost.push(delivery),
    );
    await other.publish(...['0', '1'].map((id) => other.toQueue(queue, { id })));
    await waitFor(() => held.length === 2);
    proxy.stall();
    const again: Delivery[] = [];
    await other.consume(queueOf(queue), 2, (delivery) => again.push(delivery));
    await waitFor(() => again.length === 2, 'what the other process had');
    expect(again.map(({ message, deliveryCount }) => [message.id, deliveryCount])).toEqual([['0', 1], ['1', 1]]); // prettier-ignore
    held[0].ack();
    const answer = held[1].ackConfirmed!();
    proxy.resume();
    expect(await answer).toBe(false);
    expect(await Promise.all(again.map((delivery) => delivery.ackConfirmed!()))).toEqual([true, true]);
    expect(await other.transport.queues!.depth(queue)).toBe(0);
  });

  test('is not renewed any more where the message was given back at that moment', async () => {
    const client = await PlainTransport.connect({ url: await postgres.url() });
    const held: Delivery[] = [];
    const subscription = await client.consume(queueOf(queue), 1, (delivery) => held.push(delivery));
    await client.publish(client.toQueue(queue));
    await waitFor(() => held.length === 1);
    await subscription.stop();
    held[0].release();
    const { pool } = client.transport.native() as { pool: Pool };
    await waitFor(async () => (await client.transport.queues!.depth(queue)) === 1);
    // As a renewal that was under way and comes after.
    const { extend } = statementsOf('messaging');
    const { rows } = await pool.query<{ queue: number; id: string }>('select queue, id from messaging.messages');
    await pool.query(extend, [rows[0].queue, [0], [rows[0].id], [1], 30_000, randomUUID()]);
    expect(await client.transport.queues!.depth(queue)).toBe(1);
  });

  test('that is held for longer than it lasts is renewed, and told as lost once another has it', async () => {
    const url = await postgres.url();
    const client = await PlainTransport.connect({ url, lease: 1_000 });
    const [held, lost]: [Delivery[], Delivery[]] = [[], []];
    await client.consume(
      queueOf(queue),
      2,
      (delivery) => held.push(delivery),
      (delivery) => lost.push(delivery),
    );
    await client.publish(client.toQueue(queue, { id: 'long' }));
    await waitFor(() => held.length === 1);
    const { pool } = client.transport.native() as {
      pool: { query(text: string): Promise<{ rows: { lease: Date }[] }> };
    };
    const leases = new Set<number>();
    await waitFor(async () => {
      const { rows } = await pool.query('select lease from messaging.messages');
      return leases.add(rows[0].lease.getTime()).size === 4;
    });
    expect([held.length, lost.length]).toEqual([1, 0]);
    await pool.query(`update messaging.messages set attempt = attempt + 1`);
    await waitFor(() => lost.length === 1);
    expect(lost[0]).toBe(held[0]);
  });
});
