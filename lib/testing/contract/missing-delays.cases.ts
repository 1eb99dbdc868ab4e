import assert from 'node:assert/strict';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { Wait } from '../../transport/topology.js';
import type { CaseDefinition } from './case.js';

/** Milliseconds. */
const WAIT = 60;
const waits: readonly Wait[] = [[WAIT, WAIT]];
const needs = ['delay', 'deleteDelays'] as const;

/** What delayed messages wait in is not there, at the start or later. */
export const missingDelaysCases: readonly CaseDefinition[] = [
  {
    name: 'provision: false where delayed messages have nowhere to wait: who will retry or delay hears so at its declaration, and by name',
    needs,
    async run(bed) {
      const [operator, client] = [await bed.connect(), await bed.connect({ environment: { provision: false } })];
      const topology = bed.topology('q', [bed.route('a')]);
      await operator.declare(topology);
      await bed.settled(bed.faults.deleteDelays(), 'deleteDelays()');
      await assert.rejects(client.declare({ ...topology, waits, provision: false }), (error) => {
        assert.ok(error instanceof TopologyMismatchError, `a TopologyMismatchError, not ${String(error)}`);
        assert.ok(error.message.includes(topology.queue) && /wait/.test(error.message), error.message);
        return true;
      });
      const consumer = await client.consume({ ...topology, provision: false });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'at once' }));
      assert.equal((await consumer.next()).id, 'at once');
    },
  },
  {
    name: 'provision: false where delayed messages have nowhere to wait: a delayed copy fails as one that misses something, and goes once that is there',
    needs,
    async run(bed) {
      const [operator, client] = [await bed.connect(), await bed.connect({ environment: { provision: false } })];
      const topology = bed.topology('q', [bed.route('a')]);
      await operator.declare(topology);
      await bed.settled(bed.faults.deleteDelays(), 'deleteDelays()');
      const consumer = await client.consume({ ...topology, provision: false });
      const copy = (): ReturnType<typeof client.toQueue> =>
        client.toQueue(topology.queue, { id: 'late' }, { dueAt: bed.now + WAIT });
      for (let times = 0; times < 2; times++) {
        const [result] = await client.publish(copy());
        assert.equal(result.status, 'failed');
        assert.equal(result.missing, true, `it misses something: ${result.error.message}`);
      }
      const next = await bed.connect();
      await next.declare({ ...topology, waits });
      await next.insist(next.toQueue(topology.queue, { id: 'made' }, { dueAt: bed.now + WAIT }));
      assert.equal((await consumer.next()).id, 'made');
      await client.insist(copy());
      assert.equal((await consumer.next()).id, 'late');
    },
  },
  {
    name: 'what delayed messages wait in is made again by who may, when somebody has deleted it',
    needs,
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')], { waits });
      const consumer = await client.consume(topology);
      for (const id of ['before', 'after']) {
        if (id === 'after') await bed.settled(bed.faults.deleteDelays(), 'deleteDelays()');
        await client.insist(client.toQueue(topology.queue, { id }, { dueAt: bed.now + WAIT }));
        assert.equal((await consumer.next()).id, id);
      }
    },
  },
];
