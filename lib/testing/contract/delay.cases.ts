import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Outgoing } from '../../transport/outgoing.js';
import type { CaseDefinition } from './case.js';
import type { ReceivedDelivery } from './consumer.js';
import { assertContainsHeaders, assertSameBody, everyByte, range, sorted, textHeaders } from './samples.js';
import type { TestBed } from './test-bed.js';

/** A delay that no case sees the end of. */
const longest = (bed: TestBed): number => Math.min(600_000, bed.harness.capabilities.maxDelayMs);

/** Not before its time; nor later, where time is virtual. How late a busy machine is says nothing of the transport. */
function assertOnTime(bed: TestBed, received: ReceivedDelivery, dueAt: number): void {
  const late = received.at - dueAt;
  assert.ok(late >= 0, `${received.id} came ${-late} ms early`);
  if (bed.harness.elapse) assert.ok(late <= 1, `${received.id} came ${late} ms late`);
}

/** Messages that are delivered later. */
export const delayCases: readonly CaseDefinition[] = [
  {
    name: 'a delayed message to a route comes when it is due, not earlier, to every queue bound',
    needs: ['delay'],
    async run(bed) {
      const client = await bed.connect();
      const one = await client.consume(bed.topology('one', [bed.route('a', 'b')]));
      const two = await client.consume(bed.topology('two', [bed.route('a', 'b')]));
      const dueAt = bed.now + 400;
      const fields = { id: 'later', body: everyByte, headers: textHeaders };
      await client.confirmed(client.toRoute(bed.route('a', 'b'), fields, { dueAt }));
      for (const consumer of [one, two]) {
        const received = await consumer.next();
        assertOnTime(bed, received, dueAt);
        assert.deepEqual([received.id, received.message.route], ['later', bed.route('a', 'b')]);
        assert.equal(received.delivery.direct, false);
        assertSameBody(received.message.body, everyByte);
        assertContainsHeaders(received.message.headers, textHeaders);
        assert.deepEqual(await client.upToFence(consumer), []);
      }
    },
  },
  {
    name: 'a delayed message does not come within the async context of whoever published',
    needs: ['delay'],
    async run(bed) {
      const published = new AsyncLocalStorage<string>();
      const client = await bed.connect();
      const seen: (string | undefined)[] = [];
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), {
        settle: (received) => {
          seen.push(published.getStore());
          received.ack();
        },
      });
      const delayed = client.toRoute(bed.route('a'), {}, { dueAt: bed.now + 50 });
      await published.run('by a request', () => client.confirmed(delayed));
      await consumer.next();
      assert.deepEqual(seen, [undefined]);
    },
  },
  {
    name: 'a delayed message to a queue by its name comes when it is due, not earlier',
    needs: ['delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const dueAt = bed.now + 400;
      const fields = { id: 'later', route: bed.route('a'), body: everyByte, headers: textHeaders };
      await client.confirmed(client.toQueue(topology.queue, fields, { dueAt }));
      const received = await consumer.next();
      assertOnTime(bed, received, dueAt);
      assert.deepEqual([received.id, received.message.route], ['later', bed.route('a')]);
      assert.equal(received.delivery.direct, true);
      assertSameBody(received.message.body, everyByte);
      assertContainsHeaders(received.message.headers, textHeaders);
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
  {
    name: 'two delayed messages of one id that are due together both come',
    needs: ['delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const dueAt = bed.now + 300;
      const bodies = ['by route', 'by route again', 'by queue', 'by queue again'];
      const sends = bodies.map((text, at) => {
        const fields = { id: 'same', body: Buffer.from(text) };
        return at < 2
          ? client.toRoute(bed.route('a'), fields, { dueAt })
          : client.toQueue(topology.queue, { ...fields, route: bed.route('a') }, { dueAt });
      });
      await client.confirmed(...sends);
      const received = await consumer.take(4);
      assert.deepEqual(sorted(received.map(({ message }) => message.body.toString())), sorted(bodies));
    },
  },
  {
    name: 'no head-of-line blocking: a short delay comes before a long one that was published earlier',
    needs: ['delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const { queue } = topology;
      const route = bed.route('a');
      const long = { dueAt: bed.now + longest(bed) };
      await client.confirmed(client.toQueue(queue, { id: 'long' }, long), client.toRoute(route, { id: 'long' }, long));
      const dueAt = bed.now + 300;
      await client.confirmed(
        client.toQueue(queue, { id: 'short' }, { dueAt }),
        client.toRoute(route, { id: 'short' }, { dueAt }),
      );
      const received = await consumer.take(2);
      assert.deepEqual(
        received.map(({ id }) => id),
        ['short', 'short'],
      );
      for (const each of received) assertOnTime(bed, each, dueAt);
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
  {
    name: 'many delayed messages: none early, none lost, none twice',
    needs: ['delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const start = bed.now;
      const due = new Map(range(60).map((index) => [`${index}`, start + 100 + ((index * 37) % 60) * 20]));
      const batch = [...due].map(([id, dueAt], index): Outgoing => {
        const more = { dueAt };
        return index % 2 ? client.toQueue(topology.queue, { id }, more) : client.toRoute(bed.route('a'), { id }, more);
      });
      await client.confirmed(...batch);
      const received = await consumer.take(60);
      for (const each of received) assertOnTime(bed, each, due.get(each.id) ?? 0);
      assert.deepEqual(sorted(received.map(({ id }) => id)), sorted(due.keys()));
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
  {
    name: 'a delay that is over already delivers at once',
    needs: ['delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const dueAt = bed.now;
      await client.confirmed(
        client.toQueue(topology.queue, { id: 'long' }, { dueAt: dueAt + longest(bed) }),
        client.toQueue(topology.queue, { id: 'now' }, { dueAt }),
        client.toQueue(topology.queue, { id: 'past' }, { dueAt: dueAt - 60_000 }),
        client.toRoute(bed.route('a'), { id: 'route' }, { dueAt: 1 }),
      );
      const received = await consumer.take(3);
      assert.deepEqual(sorted(received.map(({ id }) => id)), ['now', 'past', 'route']);
      for (const each of received) assertOnTime(bed, each, dueAt);
    },
  },
  {
    name: 'a delay beyond the longest possible is refused, whatever it is sent with is not',
    needs: ['maxDelay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const dueAt = bed.now + bed.harness.capabilities.maxDelayMs + 60_000;
      const results = await client.publish(
        client.toQueue(topology.queue, { id: 'one' }),
        client.toQueue(topology.queue, { id: 'never' }, { dueAt }),
        client.toRoute(bed.route('a'), { id: 'never' }, { dueAt }),
        client.toQueue(topology.queue, { id: 'two' }),
      );
      assert.deepEqual(
        results.map(({ status }) => status),
        ['confirmed', 'refused', 'refused', 'confirmed'],
      );
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['one', 'two'],
      );
    },
  },
  {
    name: 'a delayed message waits at the broker: its publisher may be gone',
    needs: ['delay'],
    async run(bed) {
      const [client, publisher] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const dueAt = bed.now + 300;
      await publisher.confirmed(publisher.toQueue(topology.queue, { id: 'orphan' }, { dueAt }));
      await publisher.close();
      const received = await consumer.next();
      assert.equal(received.id, 'orphan');
      assertOnTime(bed, received, dueAt);
    },
  },
  {
    name: 'a delayed message survives the loss of every connection',
    needs: ['delay', 'disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const dueAt = bed.now + 400;
      await client.confirmed(client.toQueue(topology.queue, { id: 'later' }, { dueAt }));
      await bed.cut(client);
      const received = await consumer.next();
      assert.equal(received.id, 'later');
      assertOnTime(bed, received, dueAt);
    },
  },
];
