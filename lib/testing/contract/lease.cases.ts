import assert from 'node:assert/strict';
import type { CaseDefinition } from './case.js';

/** Deliveries that are ours for a time. Core extends them as long as somebody works on them. */
export const leaseCases: readonly CaseDefinition[] = [
  {
    name: 'a delivery that is extended stays ours beyond its lease, and is settled then',
    needs: ['lease'],
    async run(bed) {
      const [client, rival] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      const { leaseMs } = bed.harness.capabilities;
      const consumer = await client.consume(topology, { prefetch: 1, settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'kept' }));
      const kept = await consumer.next();
      const other = await rival.consume(topology);
      const { clock } = bed.environment;
      const until = clock.monotonic() + leaseMs * 1.5;
      while (clock.monotonic() < until) {
        await bed.settled(kept.delivery.extend!(leaseMs), 'extend()');
        await bed.pass(leaseMs / 4);
      }
      assert.equal(kept.state, 'held', 'it is still ours');
      assert.deepEqual(other.ids, [], 'nobody else has it');
      kept.ack();
      await client.close();
      assert.deepEqual(await rival.upToFence(other), [], 'it was settled');
    },
  },
  {
    name: 'extending what is settled or lost does nothing',
    needs: ['lease', 'disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const { leaseMs } = bed.harness.capabilities;
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { settle: 'hold' });
      await client.confirmed(...['0', '1'].map((id) => client.toRoute(bed.route('a'), { id })));
      const [settled, lost] = await consumer.take(2);
      settled.ack();
      await bed.settled(settled.delivery.extend!(leaseMs), 'extend() of what is settled');
      await bed.cut(client);
      await bed.eventually(() => lost.state === 'lost', 'a lost delivery');
      await bed.settled(lost.delivery.extend!(leaseMs), 'extend() of what is lost');
      const again = await consumer.next();
      assert.equal(again.id, '1');
      await client.connected();
      consumer.ackAll();
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
];
