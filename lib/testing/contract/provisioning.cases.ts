import assert from 'node:assert/strict';
import type { PlannedEntry, Provisioning } from '../../transport/provisioning.js';
import type { Topology } from '../../transport/topology.js';
import type { CaseDefinition } from './case.js';
import type { Client } from './client.js';

function provisioningOf({ transport }: Client): Provisioning {
  assert.ok(transport.provisioning, 'the transport has `provisioning`');
  return transport.provisioning;
}

async function planOf(client: Client, topology: Topology): Promise<readonly PlannedEntry[]> {
  // Whether an application may make its queues itself is not asked here.
  return (await provisioningOf(client).plan([{ ...topology, provision: false }])).entries;
}

const toDo = (entries: readonly PlannedEntry[]): string[] =>
  entries.flatMap(({ action, kind, name }) => (action === 'unmanaged' ? [] : [`${action} ${kind} ${name}`]));

async function applied(entries: readonly PlannedEntry[]): Promise<void> {
  for (const { action, apply } of entries) {
    assert.equal(apply !== undefined, action === 'add' || action === 'change', `what is to be «${action}»`);
    await apply?.();
  }
}

/** What a deployment is told of topologies before they are made. */
export const provisioningCases: readonly CaseDefinition[] = [
  {
    name: 'a plan tells what is missing and makes nothing; applied it is there, and another plan has nothing to do',
    needs: ['provisioning', 'queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const names = [topology.queue, topology.deadLetter?.queue ?? ''];
      const planned = await planOf(client, topology);
      for (const name of names) {
        const entry = planned.find((one) => one.name === name);
        assert.equal(entry?.action, 'add', `«${name}» is to be added`);
        assert.equal(await client.depth(name), undefined);
      }
      assert.deepEqual(toDo(await planOf(client, topology)), toDo(planned));
      await applied(planned);
      assert.deepEqual(toDo(await planOf(client, topology)), []);
      const consumer = await client.consume({ ...topology, provision: false });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'x' }));
      assert.equal((await consumer.next()).id, 'x');
    },
  },
  {
    name: 'what the service has made and does not ask for is unmanaged in a plan, and stays with all that is in it',
    needs: ['provisioning', 'queues'],
    async run(bed) {
      const client = await bed.connect();
      const former = bed.topology('former', [bed.route('former')]);
      await client.declare(former);
      await client.confirmed(client.toRoute(bed.route('former')));
      await client.depthOf(former.queue, 1);
      const planned = await planOf(client, bed.topology('q', [bed.route('a')]));
      const entries = planned.filter(({ name }) => name === former.queue);
      assert.deepEqual(
        entries.map(({ action }) => action),
        ['unmanaged'],
      );
      await applied(planned);
      await client.depthOf(former.queue, 1);
      await client.confirmed(client.toRoute(bed.route('former')));
      await client.depthOf(former.queue, 2);
    },
  },
  {
    name: 'a difference is told by its name, with what is wanted and found; it is changed in place, or what helps is said',
    needs: ['provisioning', 'queues', 'bindings'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(client.toRoute(bed.route('a')));
      const elsewhere = `${bed.id}:elsewhere:dlq`;
      const other = { ...topology, deadLetter: { queue: elsewhere, route: elsewhere } };
      const planned = await planOf(client, other);
      const entry = planned.find(({ name, action }) => name === topology.queue && action !== 'unmanaged');
      assert.ok(entry?.differences?.length, 'the queue has differences');
      for (const { name, wanted, found } of entry.differences) assert.notDeepEqual(wanted, found, name);
      if (entry.action === 'change') {
        await applied(planned);
        assert.deepEqual(toDo(await planOf(client, other)), []);
      } else {
        assert.ok(entry.note, 'a note says what helps');
        assert.equal(entry.apply, undefined);
      }
      await client.depthOf(topology.queue, 1);
    },
  },
  {
    name: 'a plan rejects while there is no connection, and can be made when it is back',
    needs: ['provisioning', 'refuse', 'disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await bed.outage(client);
      await assert.rejects(planOf(client, topology));
      await bed.toggle('refuse', false);
      await client.connected();
      assert.ok(toDo(await planOf(client, topology)).length > 0);
    },
  },
];
