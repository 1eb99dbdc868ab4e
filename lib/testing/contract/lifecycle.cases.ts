import assert from 'node:assert/strict';
import { MessagingError } from '../../errors/messaging-error.js';
import type { CaseDefinition } from './case.js';
import { errorOf } from './publish.cases.js';
import { range } from './samples.js';

/** From `connect` to `close`. */
export const lifecycleCases: readonly CaseDefinition[] = [
  {
    name: 'connect reports connected, once',
    async run(bed) {
      const client = await bed.connect();
      await bed.settled(client.transport.probe(), 'probe()');
      assert.deepEqual(
        client.events.map(({ type }) => type),
        ['connected'],
      );
      assert.notEqual(client.transport.host, '');
      assert.ok(client.transport.native() !== undefined);
    },
  },
  {
    name: 'what a transport has beside its methods is what its capabilities and its harness say',
    async run(bed) {
      const { capabilities, partitioning, queues } = bed.harness.create();
      assert.deepEqual(capabilities, bed.harness.capabilities);
      assert.equal(
        partitioning !== undefined,
        capabilities.keyOrder === 'queue',
        'partitioning is for keyOrder «queue»',
      );
      assert.equal(queues === undefined, bed.harness.lacks?.includes('queues') === true, 'queues, or «lacks» says so');
    },
  },
  {
    name: 'connect with credentials that the broker refuses rejects, without showing them',
    needs: ['misconfigured'],
    async run(bed) {
      const transport = bed.harness.misconfigured?.();
      assert.ok(transport);
      const connecting = transport.connect({ ...bed.environment, onEvent: () => undefined });
      try {
        await assert.rejects(bed.settled(connecting, 'connect()'), (error) => {
          assert.ok(error instanceof MessagingError);
          assert.equal(error.code, 'BROKER_CONFIGURATION');
          if (bed.harness.secret)
            assert.ok(!describe(error).includes(bed.harness.secret), 'the error shows the secret');
          return true;
        });
      } finally {
        await bed.settled(transport.close(), 'close()');
      }
    },
  },
  {
    name: 'neither host nor events nor errors show the credentials',
    needs: ['secret', 'disconnect'],
    async run(bed) {
      const client = await bed.connect();
      await bed.cut(client);
      await client.connected();
      const failures: unknown[] = [];
      await client.depth(bed.queue('missing')).catch((error: unknown) => failures.push(error));
      await client.close();
      failures.push(errorOf((await client.publish(client.toRoute(bed.route('a'))))[0]));
      await bed.settled(client.transport.probe(), 'probe()').catch((error: unknown) => failures.push(error));
      const shown = [client.transport.host, JSON.stringify(client.events), ...failures.map(describe)].join('\n');
      assert.ok(!shown.includes(bed.harness.secret ?? ''), 'the secret shows');
    },
  },
  {
    name: 'close can be called twice, at once and later',
    async run(bed) {
      const client = await bed.connect();
      await client.consume(bed.topology('q', [bed.route('a')]));
      await Promise.all([client.close(), client.close()]);
      await client.close();
    },
  },
  {
    name: 'a transport is connected once: again changes nothing, after close it rejects',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const again = (): Promise<void> =>
        client.transport.connect({ ...bed.environment, onEvent: (event) => client.onEvent(event) });
      await bed.settled(again(), 'connect() again');
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'one' }));
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['one'],
      );
      assert.equal(client.count('connected'), 1);
      await client.close();
      await assert.rejects(bed.settled(again(), 'connect() after close()'), (error) => error instanceof MessagingError);
      assert.equal(client.count('connected'), 1);
    },
  },
  {
    name: 'a transport that was never connected can be closed',
    async run(bed) {
      await bed.settled(bed.harness.create().close(), 'close()');
    },
  },
  {
    name: 'after close nothing is delivered and nothing reconnects',
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      const topology = bed.topology('q', [bed.route('a')]);
      await client.consume(topology, { settle: 'hold' });
      await client.close();
      const connects = client.count('connected');
      await other.confirmed(...range(5).map(() => other.toRoute(bed.route('a'))));
      assert.equal((await other.upToFence(await other.consume(topology))).length, 5);
      if (bed.harness.faults?.disconnect) await bed.cut(other);
      assert.equal(client.count('connected'), connects);
    },
  },
  {
    name: 'publishing before connect or after close fails and does not throw',
    async run(bed) {
      const client = await bed.connect();
      await client.close();
      const [late] = await client.publish(client.toRoute(bed.route('a')));
      assert.equal(late?.status, 'failed');
      assert.ok(errorOf(late).retryable);
      const early = bed.harness.create();
      const results: string[] = [];
      early.publish([client.toRoute(bed.route('a'))], (_, { status }) => void results.push(status));
      assert.deepEqual(results, [], 'not from within publish');
      await bed.eventually(() => results.length > 0, 'a result');
      assert.deepEqual(results, ['failed']);
      await bed.settled(early.close(), 'close()');
    },
  },
  {
    name: 'what is unconfirmed when the transport closes gets its result',
    async run(bed) {
      const client = await bed.connect();
      await client.declare(bed.topology('q', [bed.route('a')]));
      const results = client.start(range(100).map(() => client.toRoute(bed.route('a'))));
      await client.close();
      await bed.eventually(() => results.size === 100, 'a result for each');
      for (const { status } of results.values()) assert.ok(status === 'confirmed' || status === 'failed', status);
    },
  },
  {
    name: 'settling after close does nothing',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { settle: 'hold' });
      await client.confirmed(client.toRoute(bed.route('a'), { id: '0' }), client.toRoute(bed.route('a'), { id: '1' }));
      const [first, second] = await consumer.take(2);
      await client.close();
      first?.ack();
      second?.release();
      const other = await bed.connect();
      const again = await other.upToFence(await other.consume(topology));
      assert.deepEqual(again.map(({ id }) => id).sort(), ['0', '1']);
    },
  },
];

/** Everything an error could show in a log. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = JSON.stringify(error, Object.getOwnPropertyNames(error));
  return `${error.stack ?? error.message}\n${own}\n${error.cause === undefined ? '' : describe(error.cause)}`;
}
