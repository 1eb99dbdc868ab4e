import { expect, it } from '@jest/globals';
import type { Channel } from 'amqplib';
import { systemClock, type Clock } from '../../lib/clock/clock.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, toRoute, topologyOf } from './client.js';
import { beforeEachPeers } from './peers.js';

describeRabbit('the queue of a subscription that was removed', (rabbit) => {
  let url: string;
  let channel: Channel;

  beforeEachPeers(rabbit, (peers) => ({ url, channel } = peers));

  /** On which the minute after the start is over when the test says so. */
  function started(): { connect(): Promise<Client>; minute(): Promise<void> } {
    let renew: (() => void) | undefined;
    const clock: Clock = {
      ...systemClock,
      after: (delayMs, callback, options) => {
        if (delayMs < 48_000 || delayMs > 72_000) return systemClock.after(delayMs, callback, options);
        renew = callback;
        return () => {};
      },
    };
    return {
      connect: () => Client.connect(url, { environment: { clock, service: 'removed' } }),
      minute: async () => {
        const now = renew!;
        renew = undefined;
        now();
        await waitFor(() => renew !== undefined, 'the end of the renewal');
      },
    };
  }

  it('is told once with its depth and how to end it, when nobody consumes it and it fills; it is left alone', async () => {
    const [old, kept] = [topologyOf('old', { patterns: ['old.created', 'old.paid'] }), topologyOf('kept')];
    const earlier = await started().connect();
    const consumer = await earlier.consume(old);
    await earlier.consume(kept);

    // A rolling deployment: the earlier version still handles it.
    const later = started();
    const rolling = await later.connect();
    await rolling.consume(kept);
    await later.minute();
    await consumer.subscription.stop();
    await earlier.publish(toRoute('old.created', '1'), toRoute('old.paid', '2'));
    await earlier.close();
    await waitFor(async () => (await channel.checkQueue(old.queue)).messageCount === 2, 'two messages');
    await later.minute();
    expect(rolling.warnings()).toEqual([]);
    await rolling.close();

    // One that only publishes knows of no subscriptions.
    const publishing = started();
    const publisher = await publishing.connect();
    await publisher.publish(toRoute('kept', '3'));
    await publishing.minute();
    expect(publisher.warnings()).toEqual([]);
    await publisher.close();

    const next = started();
    const client = await next.connect();
    await client.consume(kept);
    expect(client.warnings()).toEqual([]);
    for (let n = 0; n < 2; n++) await next.minute();
    expect(client.warnings()).toEqual([
      expect.stringContaining(`«${old.queue}» holds 2 messages, and nobody consumes it`),
    ]);
    const [told] = client.warnings();
    for (const key of old.patterns)
      expect(told).toContain(
        `rabbitmqadmin delete binding source='events' destination_type=queue destination='${old.queue}' properties_key='${key}'`,
      );
    expect(told).toContain(`rabbitmqadmin delete queue name='${old.queue}'`);
    expect((await channel.checkQueue(old.queue)).messageCount).toBe(2);
    await client.close();
  }, 60_000);
});
