import { expect, it } from '@jest/globals';
import type { Channel } from 'amqplib';
import { systemClock, type Clock } from '../../lib/clock/clock.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, message, outgoing, topologyOf } from './client.js';
import { beforeEachPeers } from './peers.js';

const INTERVAL_MS = 200;

/** On which the minute between two renewals is over soon. */
const hurried: Clock = {
  ...systemClock,
  after: (delayMs, callback, options) =>
    systemClock.after(delayMs >= 48_000 && delayMs <= 72_000 ? INTERVAL_MS : delayMs, callback, options),
};

describeRabbit('renewal', (rabbit) => {
  let url: string;
  let channel: Channel;

  beforeEachPeers(rabbit, (peers) => ({ url, channel } = peers));

  const connect = (provision = true): Promise<Client> =>
    Client.connect(url, { environment: { clock: hurried, provision } });

  it('binds again what lost its binding while everything stayed connected', async () => {
    const client = await connect();
    const consumer = await client.consume(topologyOf('unbound', { topic: 'recreated' }));
    await channel.deleteExchange('recreated');
    await channel.assertExchange('recreated', 'topic');
    await waitFor(() => {
      channel.publish('recreated', 'unbound', Buffer.from('{}'));
      return consumer.deliveries.length > 0;
    }, 'a delivery');
    expect([client.count('disconnected'), client.warnings()]).toEqual([0, []]);
    await client.close();
  });

  it('leaves alone what was unbound on purpose, and creates nothing when it may not', async () => {
    const client = await connect();
    const kept = topologyOf('kept');
    await client.consume(kept);
    await client.transport.queues.unbind(kept);
    await channel.assertExchange('theirs', 'topic');
    await channel.assertExchange('events.due', 'direct', {
      arguments: { 'alternate-exchange': 'events.due.unrouted' },
    });
    await channel.assertQueue('tests:theirs:queue', { arguments: { 'x-queue-type': 'quorum' } });
    const careful = await connect(false);
    await careful.consume({ ...topologyOf('theirs', { topic: 'theirs' }), deadLetter: undefined, provision: false });
    await channel.deleteExchange('theirs');
    // Several renewals.
    const witness = await client.consume(topologyOf('witness', { topic: 'witnessed' }));
    for (let round = 0; round < 3; round++) {
      await channel.deleteExchange('witnessed');
      await channel.assertExchange('witnessed', 'topic');
      const before = witness.deliveries.length;
      await waitFor(() => {
        channel.publish('witnessed', 'witness', Buffer.from('{}'));
        return witness.deliveries.length > before;
      }, 'a renewal');
    }
    const [result] = await client.publish(outgoing({ kind: 'route', route: 'kept' }, message('1')));
    expect(result.status).toBe('unroutable');
    await expect(channel.checkExchange('theirs')).rejects.toThrow('NOT_FOUND');
    await Promise.all([client.close(), careful.close()]);
  });

  it('brings back a deleted delay level and its exit, without anything being published', async () => {
    const client = await connect();
    const consumer = await client.consume(topologyOf('later'));
    const to = { kind: 'queue', queue: 'tests:later:queue' } as const;
    // 8,192 ms: none of the lower levels of its band is on the way.
    await client.insist(outgoing(to, message('1'), { dueAt: Date.now() + 8_192 + 256 }));
    await channel.deleteQueue('events.delay.8');
    await channel.deleteExchange('events.delay.13');
    await waitFor(async () => (await client.transport.queues.depth('events.delay.8')) === 0, 'the level');
    await consumer.received(1, 25_000);
    await client.close();
  });
});
