import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { CaseDefinition } from './case.js';
import {
  allProperties,
  assertSameBody,
  assertSameHeaders,
  assertSameProperties,
  everyByte,
  overwriteRaw,
  range,
  textHeaders,
  typedHeaders,
} from './samples.js';

const bodies: Readonly<Record<string, () => Buffer>> = {
  'every byte value': () => everyByte,
  'no bytes at all': () => Buffer.alloc(0),
  'one zero byte': () => Buffer.alloc(1),
  'one mebibyte': () => randomBytes(2 ** 20),
};

/** A message arrives as it was sent. */
export const deliveryCases: readonly CaseDefinition[] = [
  ...Object.entries(bodies).map(([what, body]): CaseDefinition => ({
    name: `a body arrives byte for byte: ${what}`,
    async run(bed) {
      const sent = body().subarray(0, Math.min(2 ** 20, bed.harness.capabilities.maxBytes));
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]));
      await client.confirmed(client.toRoute(bed.route('a'), { body: sent }));
      assertSameBody((await consumer.next()).message.body, sent);
    },
  })),
  {
    name: 'headers arrive as they were sent, and no others',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]));
      await client.confirmed(client.toRoute(bed.route('a'), { headers: textHeaders }));
      assertSameHeaders((await consumer.next()).message.headers, textHeaders);
    },
  },
  {
    name: 'headers keep their types: numbers, booleans, null, bytes, lists, nested',
    needs: ['typedHeaders'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]));
      await client.confirmed(client.toRoute(bed.route('a'), { headers: typedHeaders }));
      assertSameHeaders((await consumer.next()).message.headers, typedHeaders);
    },
  },
  {
    name: 'what is done to the broker’s own object changes neither the message nor its redelivery',
    needs: ['typedHeaders'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { body: everyByte, headers: typedHeaders }));
      for (let delivered = 1; delivered <= 2; delivered++) {
        const received = await consumer.next();
        overwriteRaw(received.delivery.raw);
        assertSameBody(received.message.body, everyByte);
        assertSameHeaders(received.message.headers, typedHeaders);
        if (delivered === 1) received.release();
        else received.ack();
      }
    },
  },
  {
    name: 'properties arrive as they were sent, absent ones stay absent',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]));
      await client.confirmed(
        client.toRoute(bed.route('a'), { properties: allProperties }),
        client.toRoute(bed.route('a'), { properties: {} }),
      );
      const [full, bare] = await consumer.take(2);
      assertSameProperties(full?.message.properties ?? {}, allProperties);
      assertSameProperties(bare?.message.properties ?? {}, {});
    },
  },
  {
    name: 'id and route arrive, whether sent to a route or to a queue',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a', 'b')]);
      const consumer = await client.consume(topology);
      await client.confirmed(
        client.toRoute(bed.route('a', 'b'), { id: 'first' }),
        client.toQueue(topology.queue, { id: 'second', route: bed.route('named', 'by', 'publisher') }),
      );
      const [first, second] = await consumer.take(2);
      assert.deepEqual([first?.id, first?.message.route], ['first', bed.route('a', 'b')]);
      assert.deepEqual([second?.id, second?.message.route], ['second', bed.route('named', 'by', 'publisher')]);
    },
  },
  {
    name: 'a delivery tells its queue, and whether it came by the name of the queue or by a route',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      await client.confirmed(client.toRoute(bed.route('a')), client.toQueue(topology.queue));
      const [routed, direct] = (await consumer.take(2)).map(({ delivery }) => delivery);
      assert.deepEqual([routed?.queue, direct?.queue], [topology.queue, topology.queue]);
      assert.deepEqual([routed?.direct, direct?.direct], [false, true]);
      assert.equal(typeof routed?.topic, 'string');
      assert.equal(direct?.topic, undefined);
    },
  },
  {
    name: 'one consumer gets the messages of a queue in the order they were published',
    needs: ['order'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]), { prefetch: 20 });
      const ids = range(200).map(String);
      const batches = range(10).map((batch) => ids.slice(batch * 20, batch * 20 + 20));
      // Handed over without waiting for one another's confirms.
      const results = batches.map((batch) =>
        client.publish(...batch.map((id) => client.toRoute(bed.route('a'), { id }))),
      );
      await Promise.all(results);
      assert.deepEqual(
        (await consumer.take(200)).map(({ id }) => id),
        ids,
      );
    },
  },
  {
    name: 'a delivery does not come within the async context of whoever published',
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
      const outgoing = range(3).map(() => client.toRoute(bed.route('a')));
      await published.run('by a request', () => client.confirmed(...outgoing));
      await consumer.take(3);
      assert.deepEqual(seen, [undefined, undefined, undefined]);
    },
  },
  {
    name: 'messages wait in the queue while nobody consumes',
    async run(bed) {
      const publisher = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await publisher.declare(topology);
      await publisher.confirmed(...range(5).map((id) => publisher.toRoute(bed.route('a'), { id: `${id}` })));
      await publisher.close();
      const consumer = await (await bed.connect()).consume(topology);
      assert.deepEqual(
        (await consumer.take(5)).map(({ id }) => id),
        ['0', '1', '2', '3', '4'],
      );
    },
  },
];
