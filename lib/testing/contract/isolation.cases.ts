import assert from 'node:assert/strict';
import type { Destination, Outgoing } from '../../transport/outgoing.js';
import type { Topology } from '../../transport/topology.js';
import { POISON } from '../transport-harness.js';
import type { CaseDefinition } from './case.js';
import { errorOf } from './publish.cases.js';
import { range, sorted } from './samples.js';

const body = Buffer.from(JSON.stringify(POISON));

/** Once together, and then as often as it takes to be sure, on a connection that others need not share. */
const MOST_DISCONNECTS = 3;

const copies: readonly (readonly [string, (topology: Topology, now: number) => [Destination, Partial<Outgoing>]])[] = [
  ['a copy to its queue', ({ queue }) => [{ kind: 'queue', queue }, {}]],
  ['a delayed copy', ({ queue }, now) => [{ kind: 'queue', queue }, { dueAt: now + 3_600_000 }]],
  ['a dead letter', ({ deadLetter }) => [{ kind: 'dead-letter', route: deadLetter?.route ?? '' }, {}]],
];

/** Messages over which the broker ends the connection: nobody else pays for them. */
export const isolationCases: readonly CaseDefinition[] = [
  {
    name: 'a message over which the broker ends the connection is refused; all that was sent with it is confirmed, and what comes after it',
    needs: ['poison'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await bed.toggle('poison', true);
      const bad = [3, 4, 17];
      const results = await client.publish(
        ...range(20).map((n) => client.toRoute(bed.route('a'), { id: `${n}`, ...(bad.includes(n) && { body }) })),
      );
      for (const [n, result] of results.entries()) {
        if (!bad.includes(n))
          assert.equal(result.status, 'confirmed', 'error' in result ? `${n}: ${result.error}` : undefined);
        else assert.deepEqual([result.status, errorOf(result).code], ['refused', 'PUBLISH_REFUSED']);
      }
      await client.connected();
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'later' }));
      const disconnects = client.count('disconnected');
      assert.ok(disconnects >= 1 && disconnects <= MOST_DISCONNECTS * bad.length, `${disconnects} disconnects`);
      const other = await bed.connect();
      const received = await other.upToFence(await other.consume(topology, { prefetch: 50 }));
      const good = range(20).filter((n) => !bad.includes(n));
      assert.deepEqual(sorted(new Set(received.map(({ id }) => id))), sorted([...good.map(String), 'later']));
    },
  },
  ...copies.map(([what, to]): CaseDefinition => ({
    name: `a consumer whose message the broker does not take as ${what} hears so, each time; others go on meanwhile`,
    needs: ['poison', 'delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'bad', body }));
      const { message } = await consumer.next();
      await bed.toggle('poison', true);
      for (const times of range(2)) {
        const [destination, more] = to(topology, bed.now);
        const [result] = await client.publish(client.outgoing(destination, message, more));
        assert.deepEqual([result?.status, errorOf(result).code], ['refused', 'PUBLISH_REFUSED'], `time ${times + 1}`);
        await client.connected();
        await client.confirmed(client.toRoute(bed.route('a'), { id: `after ${times}` }));
      }
      const disconnects = client.count('disconnected');
      assert.ok(disconnects >= 1 && disconnects <= MOST_DISCONNECTS, `${disconnects} disconnects`);
      // What came with a connection that is gone comes again.
      consumer.ackAll();
      const ids = new Set([...consumer.ids, ...(await client.upToFence(consumer)).map(({ id }) => id)]);
      assert.deepEqual(sorted(ids), ['after 0', 'after 1', 'bad']);
    },
  })),
];
