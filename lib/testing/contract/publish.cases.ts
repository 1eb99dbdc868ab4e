import assert from 'node:assert/strict';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { MessagingError } from '../../errors/messaging-error.js';
import type { CaseDefinition } from './case.js';
import { range, sorted } from './samples.js';

/** The error of a result that has one. */
export function errorOf(result: PublishResult | undefined): MessagingError {
  assert.ok(result && 'error' in result, 'a result with an error');
  assert.ok(result.error instanceof MessagingError, 'the error is a MessagingError');
  return result.error;
}

/** The fate of a publish. That `done` is called once per message, and never from within, is watched in every case. */
export const publishCases: readonly CaseDefinition[] = [
  {
    name: 'a confirmed message is in its queue',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      for (const count of range(20)) {
        await client.confirmed(client.toRoute(bed.route('a')));
        if (bed.harness.countsLate) await client.depthOf(topology.queue, count + 1);
        else assert.equal(await client.depth(topology.queue), count + 1);
      }
    },
  },
  {
    name: 'done is called once per message of a batch, for that message, and not from within publish',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 50 });
      const batch = range(300).map((id) => client.toRoute(bed.route('a'), { id: `${id}` }));
      const results = client.start(batch);
      assert.equal(results.size, 0, 'the results come later');
      await bed.eventually(() => results.size === batch.length, 'all 300 results');
      assert.deepEqual(new Set(results.keys()), new Set(batch));
      assert.ok([...results.values()].every(({ status }) => status === 'confirmed'));
      // A second call of done would come now at the latest.
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'last' }));
      assert.equal((await client.upToFence(consumer)).length, 301);
    },
  },
  {
    name: 'an empty batch is nothing',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      client.start([]);
      await client.confirmed(client.toRoute(bed.route('a')));
      assert.equal(await client.depth(topology.queue), 1);
    },
  },
  {
    name: 'the same message sent twice is stored twice, with the same id',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]));
      const outgoing = client.toRoute(bed.route('a'), { id: 'same' });
      await client.confirmed(outgoing);
      await client.confirmed({ ...outgoing, dedupeId: 'another publish' });
      assert.deepEqual(
        (await consumer.take(2)).map(({ id }) => id),
        ['same', 'same'],
      );
    },
  },
  {
    name: 'unroutable is reported for its own message among many good ones',
    needs: ['unroutable'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 100 });
      const nowhere: Record<number, (id: string) => Outgoing> = {
        7: (id) => client.toRoute(bed.route('nobody'), { id }),
        50: (id) => client.toQueue(bed.queue('missing'), { id }),
        51: (id) => client.outgoing({ kind: 'dead-letter', route: `${bed.id}:missing:dlq` }, { id }),
        99: (id) => client.toRoute(bed.route('a', 'below'), { id }),
      };
      const batch = range(100).map((n) => nowhere[n]?.(`${n}`) ?? client.toRoute(bed.route('a'), { id: `${n}` }));
      const results = await client.publish(...batch);
      for (const [index, result] of results.entries()) {
        assert.equal(result.status, index in nowhere ? 'unroutable' : 'confirmed', `message ${index}`);
        if (index in nowhere) assert.equal(errorOf(result).code, 'UNROUTABLE');
      }
      assert.equal((await client.upToFence(consumer)).length, 96);
    },
  },
  {
    name: 'two sendings of one unroutable message are told apart',
    needs: ['unroutable'],
    async run(bed) {
      const client = await bed.connect();
      await client.declare(bed.topology('q', [bed.route('a')]));
      const good = client.toRoute(bed.route('a'), { id: 'same' });
      const bad = client.toRoute(bed.route('nobody'), { id: 'same' });
      const results = await client.publish(good, bad, { ...good }, { ...bad });
      assert.deepEqual(
        results.map(({ status }) => status),
        ['confirmed', 'unroutable', 'confirmed', 'unroutable'],
      );
    },
  },
  {
    name: 'not mandatory, a message that no queue takes is confirmed',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const more = { mandatory: false };
      await client.confirmed(
        client.toRoute(bed.route('nobody'), {}, more),
        client.toQueue(bed.queue('missing'), {}, more),
        client.outgoing({ kind: 'dead-letter', route: `${bed.id}:missing:dlq` }, {}, more),
      );
      assert.equal(await client.depth(bed.queue('missing')), undefined, 'publishing creates no queue');
    },
  },
  {
    name: 'a body over the limit is refused, the messages around it are not',
    needs: ['maxBytes'],
    async run(bed) {
      const client = await bed.connect({ overrides: { maxBytes: 4_096 } });
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 50 });
      const { maxBytes } = client.transport.capabilities;
      const tooLarge = Buffer.alloc(maxBytes + 1);
      const batch = range(40).map((n) =>
        client.toRoute(bed.route('a'), { id: `${n}`, ...(n === 13 || n === 26 ? { body: tooLarge } : {}) }),
      );
      const results = await client.publish(...batch);
      for (const [index, result] of results.entries()) {
        assert.equal(result.status, index === 13 || index === 26 ? 'refused' : 'confirmed', `message ${index}`);
      }
      assert.equal(errorOf(results[13]).code, 'MESSAGE_TOO_LARGE');
      const ids = (await client.upToFence(consumer)).map(({ id }) => id);
      assert.deepEqual(
        sorted(ids),
        sorted(
          range(40)
            .map(String)
            .filter((id) => id !== '13' && id !== '26'),
        ),
      );
    },
  },
  {
    name: 'a number that is not finite in a header, at any depth, is refused; the messages around it are not',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { prefetch: 50 });
      const bad = [{ limit: Infinity }, { limit: -Infinity }, { limit: NaN }, { deep: [{ limit: Infinity }] }];
      const batch = range(20).map((n) =>
        client.toRoute(bed.route('a'), { id: `${n}`, ...(n % 5 === 3 ? { headers: bad[(n - 3) / 5] } : {}) }),
      );
      const copies = bad.map((headers) => client.toQueue(topology.queue, { headers }));
      const results = await client.publish(...batch, ...copies);
      for (const [index, result] of results.entries()) {
        const refused = index >= 20 || index % 5 === 3;
        assert.equal(result.status, refused ? 'refused' : 'confirmed', `message ${index}`);
        if (refused) assert.equal(errorOf(result).code, 'SERIALIZATION');
      }
      assert.equal((await client.upToFence(consumer)).length, 16);
      assert.equal(client.count('disconnected'), 0);
    },
  },
  {
    name: 'a body of exactly the limit is taken',
    needs: ['maxBytes'],
    async run(bed) {
      const client = await bed.connect({ overrides: { maxBytes: 4_096 } });
      const { maxBytes } = client.transport.capabilities;
      if (maxBytes > 2 ** 24) return; // The limit cannot be lowered: not worth its memory.
      const consumer = await client.consume(bed.topology('q', [bed.route('a')]));
      await client.confirmed(client.toRoute(bed.route('a'), { body: Buffer.alloc(maxBytes, 1) }));
      assert.equal((await consumer.next()).message.body.length, maxBytes);
    },
  },
  {
    name: 'messages published from within done are sent as well',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const results: string[] = [];
      const again = (left: number): void =>
        client.transport.publish([client.toRoute(bed.route('a'))], (_, result) => {
          results.push(result.status);
          if (left > 1) again(left - 1);
          bed.signal.fire();
        });
      again(10);
      await bed.eventually(() => results.length === 10, 'ten results');
      assert.deepEqual(
        results,
        Array.from({ length: 10 }, () => 'confirmed'),
      );
      await client.depthOf(topology.queue, 10);
    },
  },
];
