import assert from 'node:assert/strict';
import { header } from '../../message/headers.js';
import type { CaseDefinition } from './case.js';
import { range, sorted } from './samples.js';

/** Every delivery ends once: acked, given back, or returned because its consumer went away. */
export const settlementCases: readonly CaseDefinition[] = [
  {
    name: 'an acked message is gone',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      await client.confirmed(...range(3).map(() => client.toRoute(bed.route('a'))));
      for (const received of await consumer.take(3)) received.ack();
      consumer.ackAll();
      assert.deepEqual(await client.upToFence(consumer), []);
      await client.close();
      const other = await bed.connect();
      assert.deepEqual(await other.upToFence(await other.consume(topology)), []);
      await other.depthOf(topology.queue, 0);
    },
  },
  {
    name: 'what is unsettled when its transport closes is delivered again',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      const ids = range(4).map(String);
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      const [first] = await consumer.take(4);
      first?.ack();
      await client.close();
      const other = await bed.connect();
      const again = await other.consume(topology);
      assert.deepEqual(sorted((await again.take(3)).map(({ id }) => id)), ['1', '2', '3']);
      assert.deepEqual(await other.upToFence(again), []);
    },
  },
  {
    name: 'a released message is delivered again, to the same or to another consumer',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'once' }));
      for (let times = 0; times < 3; times++) (await consumer.next()).release();
      const held = await consumer.next();
      assert.equal(held.id, 'once');
      await consumer.stop();
      held.release();
      const other = await (await bed.connect()).consume(topology);
      assert.equal((await other.next()).id, 'once');
    },
  },
  {
    name: 'the broker counts how often it delivered a message before',
    needs: ['deliveryCount'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a')));
      for (const count of [0, 1, 2]) {
        const received = await consumer.next();
        assert.equal(received.delivery.deliveryCount, count);
        received.release();
      }
      assert.equal((await consumer.next()).delivery.deliveryCount, 3);
      await client.close();
      const other = await (await bed.connect()).consume(topology);
      assert.equal((await other.next()).delivery.deliveryCount, 4, 'a consumer that went away counts as well');
    },
  },
  {
    name: 'a message survives two hundred releases',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'tough' }));
      for (let times = 0; times < 200; times++) (await consumer.next()).release();
      const last = await consumer.next();
      assert.equal(last.id, 'tough');
      last.ack();
    },
  },
  {
    name: 'a message released with a delay comes again, and not earlier',
    needs: ['redelivery'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'later' }));
      const dueAt = bed.now + 300;
      (await consumer.next()).release(300);
      const again = await consumer.next();
      assert.equal(again.id, 'later');
      assert.ok(again.at >= dueAt, `${dueAt - again.at} ms early`);
    },
  },
  {
    name: 'what comes after a message that was released with a delay does not wait for it, of its key neither',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { prefetch: 2, settle: 'hold' });
      const publish = (id: string): Promise<void> =>
        client.confirmed(client.toRoute(bed.route('a'), { id, headers: { [header.key]: 'one' } }));
      await publish('later');
      let later = await consumer.next();
      // On a slow machine what follows may come after the delay.
      for (let delayMs = 500; ; delayMs *= 2) {
        later.release(delayMs);
        await publish(`meanwhile ${delayMs}`);
        const next = await consumer.next();
        const follows = next.id === 'later' ? await consumer.next() : next;
        assert.equal(follows.id, `meanwhile ${delayMs}`);
        follows.ack();
        if (follows === next) break;
        assert.ok(delayMs < 8_000, 'It waits each time');
        later = next;
      }
      const again = await consumer.next();
      assert.equal(again.id, 'later');
      again.ack();
    },
  },
  {
    name: 'a message released with a delay leaves its slot to others meanwhile, and the wait is counted as a delivery',
    needs: ['redelivery'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 1, settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'later' }));
      const later = await consumer.next();
      assert.equal(later.delivery.deliveryCount, 0);
      later.release(500);
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'meanwhile' }));
      const meanwhile = await consumer.next();
      assert.equal(meanwhile.id, 'meanwhile');
      meanwhile.ack();
      const again = await consumer.next();
      assert.deepEqual([again.id, again.delivery.deliveryCount], ['later', 1]);
    },
  },
];
