import { expect, it } from '@jest/globals';
import type { Channel } from 'amqplib';
import { describeRabbit, describeRabbitNode } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, message, outgoing, topologyOf, toQueue, toRoute } from './client.js';
import type { Outgoing } from '../../lib/transport/outgoing.js';
import { beforeEachPeers } from './peers.js';

const inMs = (ms: number): { dueAt: number } => ({ dueAt: Date.now() + ms });

describeRabbit('delay', (rabbit) => {
  let channel: Channel;
  let client: Client;

  beforeEachPeers(rabbit, (peers) => ({ channel, client } = peers));

  /** On a busy machine the delay can be over before its levels are declared: the message is unroutable then, and sent anew. */
  const delayed = (make: () => Outgoing): Promise<void> =>
    waitFor(async () => (await client.publish(make()))[0].status === 'confirmed', 'a delayed message');

  it('messages of any delay come, and none early, whatever was sent first', async () => {
    const consumer = await client.consume(topologyOf('any'), { prefetch: 100 });
    // The levels exist from here on.
    await client.publish(toQueue('tests:any:queue', 'warm', {}, inMs(2_500)));
    const delays = [2_500, 1, 7, 8, 9, 63, 64, 100, 255, 256, 999, 1_000, 1_001, 1_024, 1_500, 2_047];
    const due = new Map<string, number>();
    const batch = delays.flatMap((delay) =>
      ['route', 'queue'].map((kind) => {
        const id = `${kind} ${delay}`;
        const at = inMs(delay);
        due.set(id, at.dueAt);
        return kind === 'route' ? toRoute('any', id, {}, at) : toQueue('tests:any:queue', id, { route: 'any' }, at);
      }),
    );
    const results = await client.publish(...batch);
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['confirmed']));
    await consumer.received(batch.length + 1);
    const late = consumer.ids.flatMap((id, at) => (due.has(id) ? [consumer.arrivals[at] - due.get(id)!] : []));
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    for (const { message: got, direct, topic } of consumer.deliveries) {
      expect(got.headers).toEqual({});
      if (got.id.startsWith('route'))
        expect({ route: got.route, direct, topic }).toEqual({ route: 'any', direct: false, topic: 'events' });
      if (got.id.startsWith('queue')) expect({ route: got.route, direct }).toEqual({ route: 'any', direct: true });
    }
  });

  it('a copy to a queue reaches it by the broker alone, with nobody connected', async () => {
    const topology = topologyOf('alone');
    await client.transport.declare(topology);
    expect(
      (await client.publish(toQueue(topology.queue, '1', { body: Buffer.from([0, 200]) }, inMs(900))))[0].status,
    ).toBe('confirmed');
    await client.close();
    await waitFor(async () => (await channel.checkQueue(topology.queue)).messageCount === 1, 'the message');
    const got = await channel.get(topology.queue, { noAck: true });
    expect(got && [...got.content]).toEqual([0, 200]);
  });

  it('a message to a topic that nobody takes when it is due waits, is counted, and comes when somebody subscribes', async () => {
    await client.transport.declare(topologyOf('unrelated'));
    await delayed(() => toRoute('nobody.yet', '1', { headers: { tenant: 'x' } }, inMs(800)));
    await waitFor(() => client.transport.queues.undeliverable!() === 1, 'it is seen as undeliverable');
    expect(client.warnings().join()).toContain('message 1 is due');
    const consumer = await client.consume(topologyOf('nobody.yet'));
    await consumer.received(1);
    expect(consumer.deliveries[0]).toMatchObject({
      topic: 'events',
      message: { id: '1', route: 'nobody.yet', headers: { tenant: 'x' } },
    });
    expect(Object.keys(consumer.deliveries[0].message.headers)).toEqual(['tenant']);
    await waitFor(() => client.transport.queues.undeliverable!() === 0, 'it is not counted any more');
  });

  it('a copy whose queue is gone when it is due comes when the queue is back', async () => {
    const topology = topologyOf('vanishing');
    await client.transport.declare(topology);
    await channel.deleteQueue(topology.queue);
    await delayed(() => toQueue(topology.queue, '1', { route: 'vanishing' }, inMs(400)));
    await client.transport.declare(topologyOf('unrelated'));
    await client.consume(topologyOf('unrelated'));
    await waitFor(() => client.transport.queues.undeliverable!() === 1, 'it is seen as undeliverable');
    const consumer = await client.consume(topology);
    await consumer.received(1);
    expect(consumer.deliveries[0]).toMatchObject({ direct: true, message: { id: '1', route: 'vanishing' } });
  });

  it('a delayed dead letter is forwarded to the dead-letter exchange', async () => {
    const topology = topologyOf('letters');
    await client.transport.declare(topology);
    await client.publish(outgoing({ kind: 'dead-letter', route: 'tests:letters:dlq' }, message('1'), inMs(800)));
    await waitFor(async () => (await client.transport.queues.depth('tests:letters:dlq')) === 1, 'the dead letter');
  });

  it('a level that was deleted is declared again', async () => {
    const consumer = await client.consume(topologyOf('repaired'));
    await client.publish(toQueue('tests:repaired:queue', '1', {}, inMs(300)));
    await consumer.received(1);
    await channel.deleteQueue('events.delay.8');
    expect((await client.publish(toQueue('tests:repaired:queue', '2', {}, inMs(300))))[0].status).toBe('confirmed');
    await consumer.received(2);
    await channel.deleteExchange('events.delay');
    const third = toQueue('tests:repaired:queue', '3', {}, inMs(300));
    expect((await client.publish(third))[0].status).toBe('failed');
    await client.insist(third);
    await consumer.received(3);
  });

  it('a delay of 49 days is taken, a longer one than the longest is refused', async () => {
    await client.transport.declare(topologyOf('long'));
    const { maxDelayMs } = client.transport.capabilities;
    const [taken, refused] = await client.publish(
      toRoute('long', '1', {}, inMs(maxDelayMs)),
      toRoute('long', '2', {}, inMs(maxDelayMs + 10_000)),
    );
    expect(taken.status).toBe('confirmed');
    expect(refused).toMatchObject({ status: 'refused' });
    expect((refused as { error: Error }).error.message).toContain(String(maxDelayMs));
  });

  it('immediate messages do not wait for the levels of delayed ones to be declared', async () => {
    await client.transport.declare(topologyOf('quick'));
    await client.publish(toRoute('quick', '0'));
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      const done = (one: { message: { id: string } }): void => void (order.push(one.message.id) === 2 && resolve());
      client.transport.publish([toRoute('quick', 'delayed', {}, inMs(70_000)), toRoute('quick', 'immediate')], done);
    });
    expect(order).toEqual(['immediate', 'delayed']);
  });
});

describeRabbitNode('delay, broker killed', (rabbit) => {
  it('what waits in the levels survives a kill of the broker', async () => {
    const node = await rabbit.start();
    const client = await Client.connect(node.url());
    const topology = topologyOf('survivors');
    await client.transport.declare(topology);
    const ids = Array.from({ length: 100 }, (_, n) => String(n));
    const results = await client.publish(
      ...ids.map((id, n) =>
        n % 2
          ? toRoute('survivors', id, {}, inMs(3_000 + n * 20))
          : toQueue(topology.queue, id, {}, inMs(3_000 + n * 20)),
      ),
    );
    expect(results.every(({ status }) => status === 'confirmed')).toBe(true);
    await node.restart();
    const consumer = await client.consume(topology);
    await waitFor(() => new Set(consumer.ids).size === 100, 'all 100', 30_000);
    await client.close();
  }, 90_000);
});
