import assert from 'node:assert/strict';
import type { CaseDefinition } from './case.js';
import type { Client } from './client.js';
import type { Consumer } from './consumer.js';
import { range, sorted } from './samples.js';
import type { TestBed } from './test-bed.js';

/** The subscription has lost its consumer and found it again. */
async function backAgain(bed: TestBed, consumer: Consumer): Promise<void> {
  await bed.eventually(() => consumer.states.includes(false), 'the consumer reports that it stopped');
  await consumer.consuming();
}

async function assertWorks(bed: TestBed, client: Client, consumer: Consumer): Promise<void> {
  const ids = [`${bed.id}/route`, `${bed.id}/queue`];
  await client.insist(client.toRoute(bed.route('a'), { id: ids[0] }));
  await client.insist(client.toQueue(consumer.queue, { id: ids[1] }));
  await client.upToFence(consumer);
  for (const id of ids) assert.ok(consumer.ids.includes(id), `${id} arrives`);
}

/** What a broker may take to come back on a busy machine. */
const RESTART_WITHIN_MS = 45_000;

/** Subscriptions live until they are stopped, whatever happens to what they stand on. */
export const supervisionCases: readonly CaseDefinition[] = [
  {
    name: 'a subscription comes back by itself after a lost connection',
    needs: ['disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]));
      await bed.cut(client);
      await backAgain(bed, consumer);
      await assertWorks(bed, client, consumer);
      assert.equal(consumer.subscription.consuming, true);
    },
  },
  {
    name: 'deliveries under way are reported lost once, cannot be settled any more, and come again',
    needs: ['queues', 'disconnect', 'oldPlace'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 5, settle: 'hold' });
      const ids = range(12).map(String);
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      const first = await consumer.take(5);
      await bed.cut(client);
      await bed.eventually(() => first.every(({ state }) => state === 'lost'), 'five lost deliveries');
      for (const [index, received] of first.entries()) {
        if (index % 2) received.ack();
        else received.release();
      }
      const again = await consumer.take(5);
      for (const received of first) received.ack();
      assert.deepEqual(sorted(again.map(({ id }) => id)), sorted(first.map(({ id }) => id)));
      if (!bed.harness.lacks?.includes('deliveryCount')) {
        for (const { delivery } of again) assert.equal(delivery.deliveryCount, 1);
      }
      await client.connected();
      consumer.ackAll();
      await consumer.take(7);
      assert.deepEqual(await client.upToFence(consumer), []);
      await client.depthOf(topology.queue, 0);
      assert.deepEqual(sorted(new Set(consumer.ids.filter((id) => ids.includes(id)))), sorted(ids));
    },
  },
  {
    name: 'reconnect under load: everything confirmed is delivered, what failed can be sent again',
    needs: ['disconnect'],
    async run(bed) {
      const [publisher, worker] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await worker.consume(topology, { prefetch: 20 });
      const batches = range(12).map((batch) =>
        range(50).map((n) => publisher.toRoute(bed.route('a'), { id: `${bed.id}/${batch * 50 + n}` })),
      );
      const failed: string[] = [];
      let halves = 0;
      for (const [index, batch] of batches.entries()) {
        if (index % 4 === 1) await worker.connected();
        const results = publisher.start(batch);
        if (index % 4 === 1) {
          if (results.size < batch.length) halves++;
          await bed.cut(publisher, worker);
        }
        await bed.eventually(() => results.size === batch.length, 'a result for each');
        const again = batch.filter((outgoing) => results.get(outgoing)?.status === 'failed');
        failed.push(...again.map(({ message }) => message.id));
        await publisher.connected();
        await publisher.insist(...again);
      }
      assert.equal(halves, 3, 'each cut hit a batch under way');
      const wanted = new Set(batches.flat().map(({ message }) => message.id));
      const missing = (): string[] => [...wanted].filter((id) => !consumer.ids.includes(id));
      await bed.eventually(
        () => missing().length === 0,
        () => `${missing().length} of ${wanted.size} confirmed messages are lost`,
      );
      const unexpected = consumer.ids.filter((id) => id.startsWith(`${bed.id}/`) && !wanted.has(id));
      assert.deepEqual(unexpected, []);
      // One resend per failure, and what was unsettled at each of three cuts.
      const duplicates = consumer.ids.length - wanted.size;
      assert.ok(duplicates <= failed.length + 3 * 20, `${duplicates} duplicates for ${failed.length} resends`);
    },
  },
  {
    name: 'a confirmed message outlives every connection',
    needs: ['disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const ids = range(30).map(String);
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      await bed.cut(client);
      await client.connected();
      const consumer = await client.consume(topology, { prefetch: 30 });
      assert.deepEqual(sorted((await consumer.take(30)).map(({ id }) => id)), sorted(ids));
    },
  },
  {
    name: 'the connection falls again and again in the middle of its recovery',
    needs: ['disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumers = [await client.consume(topology)];
      for (const name of ['r', 's', 't']) consumers.push(await client.consume(bed.topology(name, [bed.route('a')])));
      for (let times = 0; times < 6; times++) {
        await bed.settled(bed.faults.disconnect(), 'disconnect()');
        await bed.pass(times * 7);
      }
      await bed.eventually(() => client.count('disconnected') > 0, 'disconnected');
      await client.connected();
      for (const consumer of consumers) {
        await consumer.consuming();
        await assertWorks(bed, client, consumer);
      }
    },
  },
  {
    name: 'a subscription comes back after the broker cancelled its consumer',
    needs: ['cancel'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      await bed.settled(bed.faults.cancel(topology.queue), 'cancel()');
      await backAgain(bed, consumer);
      await assertWorks(bed, client, consumer);
    },
  },
  {
    name: 'a subscription that is attached again consumes anew, and nothing that it held is lost',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 3, settle: 'hold' });
      const ids = range(6).map(String);
      await client.insist(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      await consumer.take(3);
      assert.ok('attachAgain' in consumer.subscription, 'it can be attached again');
      consumer.subscription.attachAgain?.('nothing came');
      await backAgain(bed, consumer);
      consumer.ackAll();
      const missing = (): string[] => ids.filter((id) => !consumer.ids.includes(id));
      await bed.eventually(
        () => missing().length === 0,
        () => `lost: ${missing().join(', ')}`,
      );
      await assertWorks(bed, client, consumer);
    },
  },
  {
    name: 'a subscription comes back after its queue was deleted, with queue, bindings and prefetch',
    needs: ['queues', 'deleteQueue'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 3, settle: 'hold' });
      await bed.settled(bed.faults.deleteQueue(topology.queue), 'deleteQueue()');
      await backAgain(bed, consumer);
      await client.insist(...range(8).map((id) => client.toRoute(bed.route('a'), { id: `${id}` })));
      await consumer.take(3);
      await client.depthOf(topology.queue, 5);
      assert.equal(consumer.held.length, 3);
      consumer.ackAll();
      await assertWorks(bed, client, consumer);
    },
  },
  {
    name: 'a queue deleted during an outage is there again after it',
    needs: ['queues', 'disconnect', 'refuse', 'deleteQueue'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      await bed.outage(client);
      await bed.settled(bed.faults.deleteQueue(topology.queue), 'deleteQueue()');
      await bed.toggle('refuse', false);
      await client.connected();
      await backAgain(bed, consumer);
      await assertWorks(bed, client, consumer);
      assert.equal(await client.depth(topology.deadLetter?.queue ?? ''), 0);
    },
  },
  {
    name: 'a broker that is killed and started again has what it confirmed: messages, dead letters, delays, consumers',
    needs: ['restart', 'delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 5, settle: 'hold' });
      const ids = range(20).map(String);
      const delays = ['delayed to the queue', 'delayed to the route'];
      const dueAt = bed.now + 2_000;
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      await client.confirmed(
        client.outgoing({ kind: 'dead-letter', route: topology.deadLetter?.route ?? '' }, { id: 'dead' }),
        client.toQueue(topology.queue, { id: delays[0] }, { dueAt }),
        client.toRoute(bed.route('a'), { id: delays[1] }, { dueAt }),
      );
      await consumer.take(5);
      await bed.settled(bed.faults.restart(), 'restart()', RESTART_WITHIN_MS);
      await backAgain(bed, consumer);
      consumer.ackAll();
      const missing = (): string[] => [...ids, ...delays].filter((id) => !consumer.ids.includes(id));
      await bed.eventually(
        () => missing().length === 0,
        () => `lost: ${missing().join(', ')}`,
      );
      await client.connected();
      const dead = await client.consume(bed.deadLetters(topology));
      assert.equal((await dead.next()).id, 'dead');
      await assertWorks(bed, client, consumer);
    },
  },
];
