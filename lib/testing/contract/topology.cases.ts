import assert from 'node:assert/strict';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { CaseDefinition } from './case.js';
import type { Client } from './client.js';
import type { ListedQueue, QueueList } from '../../transport/queue-list.js';
import type { Topology } from '../../transport/topology.js';
import type { TestBed } from './test-bed.js';

async function assertMismatch(client: Client, topology: Topology): Promise<void> {
  await assert.rejects(client.declare(topology), (error) => {
    assert.ok(error instanceof TopologyMismatchError, `a TopologyMismatchError, not ${String(error)}`);
    const names = [topology.queue, topology.deadLetter?.queue ?? topology.queue];
    assert.ok(
      names.some((name) => error.message.includes(name)),
      `the message names the queue: ${error.message}`,
    );
    return true;
  });
}

/** What the broker has otherwise; where it does not keep that, what is missing and may not be made. */
function refused(bed: TestBed, there: Topology): Topology {
  if (bed.harness.lacks?.includes('bindings')) return bed.topology('missing', [], { provision: false });
  const elsewhere = `${bed.id}:elsewhere:dlq`;
  return { ...there, deadLetter: { queue: elsewhere, route: elsewhere } };
}

/** Queues and bindings exist when they are declared, and only then. */
export const topologyCases: readonly CaseDefinition[] = [
  {
    name: 'declaring creates the queue and its dead-letter queue, both empty',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const names = [topology.queue, topology.deadLetter?.queue ?? ''];
      for (const name of names) assert.equal(await client.depth(name), undefined);
      await client.declare(topology);
      for (const name of names) assert.equal(await client.depth(name), 0);
    },
  },
  {
    name: 'an operator is told of a queue: what is ready, who consumes, its routes and dead letters, and of none that is not there',
    needs: ['listQueues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const dead = topology.deadLetter?.queue ?? '';
      await client.declare(topology);
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'x' }));
      const scope = { service: bed.environment.service, queues: [topology.queue, bed.queue('gone')] };
      let list: QueueList | undefined;
      const told = async (name: string): Promise<ListedQueue | undefined> => {
        list = await client.transport.queues?.list?.(scope);
        return list?.queues.find((queue) => queue.name === name);
      };
      await bed.eventually(async () => (await told(topology.queue))?.ready === 1, 'one is ready');
      const { consumers, routes, deadLetterQueue } = (await told(topology.queue))!;
      assert.deepEqual(
        { consumers, routes, deadLetterQueue },
        { consumers: 0, routes: [bed.route('a')], deadLetterQueue: dead },
      );
      assert.equal((await told(dead))?.ready, 0);
      assert.ok(list?.missing.includes(bed.queue('gone')), 'the queue that is not there is told as missing');
      const consumer = await client.consume(topology);
      assert.equal((await consumer.next()).id, 'x');
      await bed.eventually(async () => Boolean((await told(topology.queue))?.consumers), 'somebody consumes');
      assert.equal(await client.depth(bed.queue('gone')), undefined);
    },
  },
  {
    name: 'declaring the same twice is fine, also by another transport, and changes nothing',
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'kept' }));
      await client.declare(topology);
      await other.declare(topology);
      const consumer = await other.consume(topology);
      assert.deepEqual(
        (await other.upToFence(consumer)).map(({ id }) => id),
        ['kept'],
      );
    },
  },
  {
    name: 'declaring with another dead-letter queue is a TopologyMismatchError that names the queue',
    needs: ['bindings'],
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const elsewhere = `${bed.id}:elsewhere:dlq`;
      await assertMismatch(other, { ...topology, deadLetter: { queue: elsewhere, route: elsewhere } });
    },
  },
  {
    name: 'a refused declaration disturbs nobody: the transport and its subscriptions go on',
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const consumer = await other.consume(bed.topology('other', [bed.route('b')]));
      await assertMismatch(other, refused(bed, topology));
      await other.confirmed(other.toRoute(bed.route('b'), { id: 'still' }));
      assert.equal((await consumer.next()).id, 'still');
      assert.equal(other.count('disconnected'), 0);
    },
  },
  {
    name: 'a topology that was refused is forgotten: nothing tells of it when the connection is back',
    needs: ['disconnect'],
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const wrong = refused(bed, topology);
      await assertMismatch(other, wrong);
      const kept = await other.consume(bed.topology('kept', [bed.route('b')]));
      await bed.cut(other);
      await other.connected();
      await kept.consuming();
      await other.insist(other.toRoute(bed.route('b'), { id: 'after' }));
      assert.equal((await kept.next()).id, 'after');
      const told = other.events.flatMap((event) => ('message' in event ? [event.message] : []));
      assert.deepEqual(
        told.filter((text) => text.includes(wrong.queue)),
        [],
      );
    },
  },
  ...(['topology', 'environment'] as const).map((where): CaseDefinition => ({
    name: `provision: false in the ${where}: a missing queue is a TopologyMismatchError and is not created`,
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect({ environment: { provision: where !== 'environment' } });
      const topology = bed.topology('q', [bed.route('a')], { provision: where !== 'topology' });
      await assertMismatch(client, topology);
      assert.equal(await client.depth(topology.queue), undefined);
      assert.equal(await client.depth(topology.deadLetter?.queue ?? ''), undefined);
    },
  })),
  {
    name: 'provision: false: all that a subscription lacks is told in one error',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect({ environment: { provision: false } });
      const [operator, topology] = [await bed.connect(), bed.topology('q', [bed.route('a')], { provision: false })];
      await operator.declare(bed.topology('there', [bed.route('b')]));
      await assert.rejects(client.declare(topology), (error) => {
        assert.ok(error instanceof TopologyMismatchError, `a TopologyMismatchError, not ${String(error)}`);
        for (const name of [topology.queue, topology.deadLetter?.queue ?? ''])
          assert.ok(error.message.includes(`«${name}»`), `the message names «${name}»: ${error.message}`);
        return true;
      });
    },
  },
  {
    name: 'provision: false with everything in place consumes',
    async run(bed) {
      const [operator, client] = [await bed.connect(), await bed.connect({ environment: { provision: false } })];
      const topology = bed.topology('q', [bed.route('a')]);
      await operator.declare(topology);
      const consumer = await client.consume({ ...topology, provision: false });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'x' }));
      assert.equal((await consumer.next()).id, 'x');
    },
  },
  {
    name: 'a pattern that is added later is bound as well',
    async run(bed) {
      const client = await bed.connect();
      await client.declare(bed.topology('q', [bed.route('a')]));
      const consumer = await client.consume(bed.topology('q', [bed.route('a'), bed.route('b')]));
      await client.confirmed(client.toRoute(bed.route('b'), { id: 'b' }), client.toRoute(bed.route('a'), { id: 'a' }));
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['b', 'a'],
      );
    },
  },
  {
    name: 'a route that the next process of the service does not declare any more is unbound, and what the queue has stays',
    needs: ['bindings', 'unroutable'],
    async run(bed) {
      const before = await bed.connect();
      await before.consume(bed.topology('q', [bed.route('old'), bed.route('kept')]));
      await before.close();
      const client = await bed.connect();
      await client.confirmed(client.toRoute(bed.route('old'), { id: 'waiting' }));
      const topology = bed.topology('q', [bed.route('kept'), bed.route('new')]);
      const consumer = await client.consume(topology);
      const [old, ...others] = await client.publish(
        client.toRoute(bed.route('old')),
        client.toRoute(bed.route('kept'), { id: 'kept' }),
        client.toRoute(bed.route('new'), { id: 'new' }),
      );
      assert.equal(old?.status, 'unroutable');
      assert.deepEqual(
        others.map(({ status }) => status),
        ['confirmed', 'confirmed'],
      );
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['waiting', 'kept', 'new'],
      );
    },
  },
  {
    name: 'a route that another process still consumes stays bound',
    async run(bed) {
      const before = await bed.connect();
      const consumer = await before.consume(bed.topology('q', [bed.route('old')]));
      const client = await bed.connect();
      await client.declare(bed.topology('q', [bed.route('new')]));
      await client.confirmed(client.toRoute(bed.route('old'), { id: 'old' }));
      assert.equal((await consumer.next()).id, 'old');
    },
  },
  {
    name: 'a queue that is declared without patterns keeps what others have bound, and takes what is sent by its name',
    needs: ['bindings'],
    async run(bed) {
      const before = await bed.connect();
      await before.declare(bed.topology('q', [bed.route('theirs')]));
      await before.close();
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q'));
      await client.confirmed(client.toRoute(bed.route('theirs'), { id: 'by route' }));
      await client.confirmed(client.toQueue(consumer.queue, { id: 'by name' }));
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['by route', 'by name'],
      );
    },
  },
  {
    name: 'comparing tells every difference of every topology in one error, and makes nothing',
    needs: ['queues', 'bindings'],
    async run(bed) {
      const client = await bed.connect();
      const topologies = ['one', 'two'].map((name) => bed.topology(name, [bed.route(name)]));
      for (const topology of topologies) await client.declare(topology);
      const elsewhere = `${bed.id}:elsewhere:dlq`;
      const deadLetter = { queue: elsewhere, route: elsewhere };
      const changed = topologies.map((topology) => ({ ...topology, deadLetter }));
      const other = await bed.connect();
      await other.transport.queues!.compare(topologies);
      await assert.rejects(other.transport.queues!.compare([...changed, bed.topology('new')]), (error) => {
        assert.ok(error instanceof TopologyMismatchError, `a TopologyMismatchError, not ${String(error)}`);
        for (const { queue } of topologies)
          assert.ok(error.message.includes(`«${queue}»`), `the message names ${queue}: ${error.message}`);
        return true;
      });
      for (const queue of [elsewhere, bed.queue('new')]) assert.equal(await client.depth(queue), undefined);
    },
  },
  {
    name: 'depth counts what is ready, not what is delivered and unsettled',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(...Array.from({ length: 5 }, () => client.toRoute(bed.route('a'))));
      assert.equal(await client.depth(topology.queue), 5);
      const consumer = await client.consume(topology, { prefetch: 2, settle: 'hold' });
      await consumer.take(2);
      await client.depthOf(topology.queue, 3);
    },
  },
];
