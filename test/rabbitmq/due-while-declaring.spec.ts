import { expect, it } from '@jest/globals';
import { type Clock, systemClock } from '../../lib/clock/clock.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { Client, message, outgoing, topologyOf } from './client.js';
import { beforeEachPeers } from './peers.js';

describeRabbit('a delay that is over', (rabbit) => {
  let url: string;

  beforeEachPeers(rabbit, (peers) => ({ url } = peers));

  it('at the moment its levels are to be declared is no obstacle: the message is sent at once', async () => {
    // Each look at this clock is a millisecond later than the one before, as it can be on the machine's own.
    let now = systemClock.now();
    const ticking: Clock = { ...systemClock, now: () => (now += 1) };
    const client = await Client.connect(url, { environment: { clock: ticking } });
    const topology = topologyOf('due');
    const consumer = await client.consume(topology);
    const statuses: string[] = [];
    for (let ahead = 1; ahead <= 5; ahead++) {
      const to = { kind: 'queue', queue: topology.queue } as const;
      const [result] = await client.publish(outgoing(to, message(String(ahead)), { dueAt: now + ahead }));
      statuses.push(result.status);
    }
    expect(statuses).toEqual(Array(5).fill('confirmed'));
    await consumer.received(5);
    await client.close();
  });
});
