import assert from 'node:assert/strict';
import type { CaseDefinition } from './case.js';
import { range, sorted } from './samples.js';

/** The end of an intake that takes along what is unsettled, for consumers that keep an order. */
export const stopCases: readonly CaseDefinition[] = [
  {
    name: 'stop(giveBack) gives back all that is unsettled with the end of the intake and tells so, or leaves all of it',
    needs: ['sharing'],
    async run(bed) {
      const [client, rival] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      const ids = range(12).map(String);
      const consumer = await client.consume(topology, { prefetch: 5, settle: 'hold' });
      const bystander = await client.consume(bed.topology('other', [bed.route('b')]), { settle: 'hold' });
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      await client.confirmed(client.toRoute(bed.route('b'), { id: 'other' }));
      const held = await consumer.take(5);
      const [other] = await bystander.take(1);
      const successor = await rival.consume(topology, { prefetch: 1, settle: 'hold' });
      await successor.next();
      await consumer.stop(true);
      const lost = held.filter(({ state }) => state === 'lost');
      assert.ok(lost.length === 0 || lost.length === held.length, `${lost.length} of ${held.length} were given back`);
      assert.equal(other.state, 'held', 'another subscription keeps what it has');
      for (const received of held) received.release();
      successor.ackAll();
      const handled = [successor.ids[0], ...(await successor.take(11)).map(({ id }) => id)];
      assert.deepEqual(sorted(handled), sorted(ids), 'each comes once');
      assert.deepEqual(await rival.upToFence(successor), []);
      if (lost.length > 0) assert.deepEqual(handled.slice(1, 6), ids.slice(0, 5), 'in their old place');
    },
  },
  {
    name: 'stop(giveBack) can be called again, also after close',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q'));
      await Promise.all([consumer.stop(true), consumer.stop(true), consumer.stop()]);
      await consumer.stop(true);
      await client.close();
      await consumer.stop(true);
    },
  },
];
