import assert from 'node:assert/strict';
import type { CaseDefinition } from './case.js';
import { range, sorted } from './samples.js';

/** Prefetch, sharing a queue, stopping and pausing. That a prefetch is never exceeded is watched in every case. */
export const consumerCases: readonly CaseDefinition[] = [
  ...[1, 3, 10].map((prefetch): CaseDefinition => ({
    name: `a prefetch of ${prefetch} is filled and never exceeded`,
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch, settle: 'hold' });
      const total = prefetch * 3;
      await client.confirmed(...range(total).map(() => client.toRoute(bed.route('a'))));
      await consumer.take(prefetch);
      for (let left = total - prefetch; left > 0; left--) {
        await client.depthOf(topology.queue, left);
        assert.equal(consumer.held.length, prefetch);
        consumer.held[0]?.ack();
        await consumer.next('one more for the one acked');
      }
      assert.equal(consumer.received.length, total);
    },
  })),
  {
    name: 'each of several consumers of a queue has its own prefetch',
    needs: ['queues', 'sharing'],
    async run(bed) {
      const [one, two] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      const few = await one.consume(topology, { prefetch: 2, settle: 'hold' });
      const many = await two.consume(topology, { prefetch: 5, settle: 'hold' });
      await one.confirmed(...range(20).map(() => one.toRoute(bed.route('a'))));
      await Promise.all([few.take(2), many.take(5)]);
      await one.depthOf(topology.queue, 13);
      assert.deepEqual([few.held.length, many.held.length], [2, 5]);
    },
  },
  {
    name: 'consumers of one queue share its messages, each message goes to one of them',
    needs: ['queues', 'sharing'],
    async run(bed) {
      const [one, two] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      const first = await one.consume(topology, { prefetch: 5, settle: 'hold' });
      const second = await two.consume(topology, { prefetch: 5, settle: 'hold' });
      const ids = range(40).map(String);
      await one.confirmed(...ids.map((id) => one.toRoute(bed.route('a'), { id })));
      await Promise.all([first.take(5), second.take(5)]);
      for (const consumer of [first, second]) consumer.ackAll();
      await bed.eventually(() => first.ids.length + second.ids.length >= 40, 'all 40 messages');
      await one.depthOf(topology.queue, 0);
      assert.deepEqual(sorted([...first.ids, ...second.ids]), sorted(ids));
    },
  },
  {
    name: 'one transport carries several subscriptions',
    async run(bed) {
      const client = await bed.connect();
      const names = range(5).map(String);
      const consumers = [];
      for (const name of names) consumers.push(await client.consume(bed.topology(name, [bed.route(name)])));
      await client.confirmed(...names.map((name) => client.toRoute(bed.route(name), { id: name })));
      for (const [index, consumer] of consumers.entries()) {
        assert.deepEqual(
          (await consumer.take(1)).map(({ id }) => id),
          [names[index]],
        );
        assert.deepEqual(await client.upToFence(consumer), []);
      }
    },
  },
  {
    name: 'after stop nothing comes, what came before can still be acked, the rest waits for others',
    needs: ['sharing'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 5, settle: 'hold' });
      const ids = range(20).map(String);
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      const held = await consumer.take(5);
      await consumer.stop();
      assert.equal(consumer.subscription.consuming, false);
      for (const received of held.slice(0, 3)) received.ack();
      const other = await bed.connect();
      const successor = await other.consume(topology, { prefetch: 20 });
      assert.deepEqual(sorted((await successor.take(15)).map(({ id }) => id)), sorted(ids.slice(5)));
      assert.deepEqual(await other.upToFence(successor), [], 'the unsettled ones are still ours');
      await client.close();
      assert.deepEqual(sorted((await successor.take(2)).map(({ id }) => id)), ['3', '4']);
      assert.deepEqual(await other.upToFence(successor), []);
    },
  },
  {
    name: 'stopped under load, nothing comes once that has resolved and nothing is lost',
    needs: ['queues'],
    async run(bed) {
      const [client, publisher] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const ids = range(400).map(String);
      await Promise.all([
        publisher.confirmed(...ids.map((id) => publisher.toRoute(bed.route('a'), { id }))),
        consumer.take(50).then(() => consumer.stop()),
      ]);
      const seen = new Set(consumer.ids);
      await publisher.depthOf(topology.queue, ids.length - seen.size);
      const successor = await publisher.consume(topology);
      assert.deepEqual(
        sorted((await successor.take(ids.length - seen.size)).map(({ id }) => id)),
        sorted(ids.filter((id) => !seen.has(id))),
      );
    },
  },
  {
    name: 'stop can be called again, also after close',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q'));
      await Promise.all([consumer.stop(), consumer.stop()]);
      await consumer.stop();
      await client.close();
      await consumer.stop();
    },
  },
  {
    name: 'a paused consumer gets nothing new, can settle what it has, and goes on when resumed',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 3, settle: 'hold' });
      const bystander = await client.consume(bed.topology('other'));
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'before' }));
      const before = await consumer.next();
      consumer.pause();
      await client.confirmed(...['1', '2', '3'].map((id) => client.toRoute(bed.route('a'), { id })));
      before.ack();
      await client.upToFence(bystander);
      await bed.settled(client.transport.probe(), 'probe()');
      assert.deepEqual(consumer.ids, ['before']);
      consumer.resume();
      assert.deepEqual(sorted((await consumer.take(3)).map(({ id }) => id)), ['1', '2', '3']);
      consumer.ackAll();
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
  {
    name: 'a prefetch holds across pause and resume: what was unsettled before still counts',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 3, settle: 'hold' });
      const bystander = await client.consume(bed.topology('other'));
      await client.confirmed(...range(9).map(() => client.toRoute(bed.route('a'))));
      await consumer.take(3);
      consumer.pause();
      await bed.settled(client.transport.probe(), 'probe()');
      consumer.resume();
      consumer.held[0]?.ack();
      await consumer.next();
      await client.upToFence(bystander);
      assert.equal(consumer.held.length, 3);
      consumer.ackAll();
      await consumer.take(5);
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
  {
    name: 'pause and resume in quick succession leave one consumer with its prefetch',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 2, settle: 'hold' });
      for (let times = 0; times < 10; times++) {
        consumer.pause();
        consumer.resume();
      }
      await client.confirmed(...range(6).map((id) => client.toRoute(bed.route('a'), { id: `${id}` })));
      await consumer.take(2);
      await client.depthOf(topology.queue, 4);
      assert.equal(consumer.held.length, 2);
      consumer.ackAll();
      await consumer.take(4);
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
];
