import assert from 'node:assert/strict';
import type { CaseDefinition } from './case.js';
import { errorOf } from './publish.cases.js';
import { range, sorted } from './samples.js';

/** Milliseconds. More than a busy broker needs for a confirm that does come: each that is late is one more copy. */
const confirmTimeout = 1_000;

/** Confirms that do not come. */
export const publishFaultCases: readonly CaseDefinition[] = [
  {
    name: 'a lost confirm: failed after confirmTimeout, one resend is a duplicate with the same id, never a loss',
    needs: ['dropConfirms'],
    async run(bed) {
      const client = await bed.connect({ environment: { confirmTimeout } });
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'before' }));
      const { clock } = bed.environment;
      await bed.toggle('dropConfirms', true);
      const outgoing = client.toRoute(bed.route('a'), { id: 'unsure' });
      const start = clock.monotonic();
      const [result] = await client.publish(outgoing);
      const took = clock.monotonic() - start;
      assert.equal(result?.status, 'failed');
      assert.ok(errorOf(result).retryable);
      assert.ok(took >= confirmTimeout - 1, `failed after ${took} ms, before confirmTimeout`);
      await bed.toggle('dropConfirms', false);
      await client.connected();
      await client.insist(outgoing);
      const other = await bed.connect();
      const received = await other.upToFence(await other.consume(topology));
      const copies = bed.harness.deduplicates ? ['unsure'] : ['unsure', 'unsure'];
      assert.deepEqual(sorted(received.map(({ id }) => id)), ['before', ...copies]);
    },
  },
  {
    name: 'lost confirms of a batch: each message gets its one result, after the resends nothing is missing',
    needs: ['dropConfirms'],
    async run(bed) {
      const client = await bed.connect({ environment: { confirmTimeout } });
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(client.toRoute(bed.route('a')));
      await bed.toggle('dropConfirms', true);
      const ids = range(50).map(String);
      const batch = ids.map((id) => client.toRoute(bed.route('a'), { id }));
      const results = await client.publish(...batch);
      assert.ok(results.every(({ status }) => status === 'failed'));
      await bed.toggle('dropConfirms', false);
      await client.connected();
      await client.insist(...batch);
      const other = await bed.connect();
      const consumer = await other.consume(topology, { prefetch: 50 });
      await bed.eventually(() => ids.every((id) => consumer.ids.includes(id)), 'every message of the batch');
      const received = await other.upToFence(consumer);
      const counts = new Map(ids.map((id) => [id, received.filter((each) => each.id === id).length]));
      for (const [id, count] of counts) assert.ok(count === 1 || count === 2, `${id} arrived ${count} times`);
    },
  },
  {
    name: 'a blocking broker is reported; what is under way waits, is not failed, and is confirmed when unblocked',
    needs: ['block'],
    async run(bed) {
      const client = await bed.connect({ environment: { confirmTimeout: 300 } });
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      await bed.toggle('block', true);
      const results = client.start(range(10).map((id) => client.toRoute(bed.route('a'), { id: `${id}` })));
      await client.event('blocked');
      await bed.pass(900);
      assert.equal(results.size, 0, 'unresolved while blocked, longer than confirmTimeout');
      assert.equal(client.count('unblocked'), 0);
      await bed.toggle('block', false);
      await client.event('unblocked');
      await bed.eventually(() => results.size === 10, 'ten results');
      assert.ok([...results.values()].every(({ status }) => status === 'confirmed'));
      const ids = (await client.upToFence(consumer)).map(({ id }) => id);
      assert.deepEqual(ids, range(10).map(String));
      assert.equal(client.count('disconnected'), 0);
    },
  },
  {
    name: 'a blocking broker still delivers',
    needs: ['block'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(...range(5).map(() => client.toRoute(bed.route('a'))));
      await bed.toggle('block', true);
      const results = client.start([client.toRoute(bed.route('a'))]);
      await client.event('blocked');
      const other = await bed.connect();
      const consumer = await other.consume(topology, { prefetch: 2 });
      await consumer.take(5);
      await bed.toggle('block', false);
      await bed.eventually(() => results.size === 1, 'the result of the blocked publish');
      await consumer.take(1);
    },
  },
  {
    name: 'publishes under way when the connection is lost get one result each',
    needs: ['disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const batch = range(200).map((id) => client.toRoute(bed.route('a'), { id: `${id}` }));
      const results = client.start(batch);
      await bed.cut(client);
      await bed.eventually(() => results.size === batch.length, 'a result for each');
      const failed = batch.filter((outgoing) => results.get(outgoing)?.status === 'failed');
      for (const { status } of results.values()) assert.ok(status === 'confirmed' || status === 'failed', status);
      await client.connected();
      await client.insist(...failed);
      const consumer = await client.consume(topology, { prefetch: 50 });
      const ids = new Set((await client.upToFence(consumer)).map(({ id }) => id));
      assert.deepEqual(sorted(ids), sorted(range(200).map(String)));
    },
  },
];
