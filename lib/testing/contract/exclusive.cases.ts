import assert from 'node:assert/strict';
import type { Topology } from '../../transport/topology.js';
import type { CaseDefinition } from './case.js';
import type { Client } from './client.js';
import type { TestBed } from './test-bed.js';

const LONG_MS = 300_000;

function exclusive(bed: TestBed, name: string, expiresMs = LONG_MS): Topology {
  const deadLetter = `${bed.id}:case.shared:dlq`;
  return bed.topology(name, [bed.route('a')], {
    exclusive: { expiresMs },
    deadLetter: { queue: deadLetter, route: deadLetter },
  });
}

async function gone(bed: TestBed, client: Client, { queue }: Topology): Promise<void> {
  await bed.eventually(async () => (await client.depth(queue)) === undefined, `the end of ${queue}`);
}

/** Queues of one process alone. */
export const exclusiveCases: readonly CaseDefinition[] = [
  {
    name: 'each of two exclusive queues gets every message, and ends with its transport, with what it has',
    needs: ['queues'],
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      const [mine, theirs] = [exclusive(bed, 'mine'), exclusive(bed, 'theirs')];
      const consumer = await client.consume(mine);
      await other.consume(theirs, { prefetch: 1, settle: 'hold' });
      await client.confirmed(...['1', '2'].map((id) => client.toRoute(bed.route('a'), { id })));
      await other.depthOf(theirs.queue, 1);
      await other.close();
      await gone(bed, client, theirs);
      assert.equal(await client.depth(mine.deadLetter!.queue), 0);
      await client.confirmed(client.toRoute(bed.route('a'), { id: '3' }));
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['1', '2', '3'],
      );
    },
  },
  {
    name: 'an exclusive queue outlives a lost connection, with what it has and what comes meanwhile',
    needs: ['disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const topology = exclusive(bed, 'q');
      const consumer = await client.consume(topology, { prefetch: 1, settle: 'hold' });
      await client.confirmed(...['held', 'waits'].map((id) => client.toRoute(bed.route('a'), { id })));
      await consumer.next();
      await bed.cut(client);
      await client.insist(client.toRoute(bed.route('a'), { id: 'meanwhile' }));
      consumer.ackAll();
      const ids = (await client.upToFence(consumer)).map(({ id }) => id);
      assert.deepEqual([...new Set(ids)].sort(), ['held', 'meanwhile', 'waits']);
    },
  },
  {
    name: 'an exclusive queue that nobody consumes goes by itself, and is there again when it is declared',
    needs: ['queues', 'expiry'],
    async run(bed) {
      const client = await bed.connect();
      const topology = exclusive(bed, 'q', 1_000);
      const consumer = await client.consume(topology);
      await consumer.stop();
      await gone(bed, client, topology);
      const again = await client.consume(topology);
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'again' }));
      assert.equal((await again.next()).id, 'again');
    },
  },
  {
    name: 'an exclusive queue stays while all that its process takes is held for longer than it expires',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(exclusive(bed, 'q', 1_000), { prefetch: 1, settle: 'hold' });
      await client.confirmed(...['held', 'waits'].map((id) => client.toRoute(bed.route('a'), { id })));
      const held = await consumer.next();
      await bed.pass(3_000);
      held.ack();
      assert.equal((await consumer.next()).id, 'waits');
    },
  },
  {
    name: 'a delayed copy that nobody minds is dropped when its exclusive queue is gone',
    needs: ['queues', 'delay'],
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      const topology = exclusive(bed, 'q');
      const forwarding = await client.consume(bed.topology('forwarding', [bed.route('b')]));
      await other.consume(topology);
      const dueAt = bed.now + 800;
      const unminded = client.toQueue(topology.queue, {}, { dueAt, mandatory: false });
      await client.confirmed(unminded);
      await other.close();
      await gone(bed, client, topology);
      await client.confirmed(client.toQueue(forwarding.queue, { id: 'later' }, { dueAt: dueAt + 800 }));
      assert.equal((await forwarding.next()).id, 'later');
      assert.ok(!client.told().includes(unminded.message.id), client.told());
      assert.deepEqual(await client.upToFence(await client.consume(topology)), []);
    },
  },
];
