import assert from 'node:assert/strict';
import type { PublishResult } from '../../transport/outgoing.js';
import type { CaseDefinition } from './case.js';
import { errorOf } from './publish.cases.js';
import { range } from './samples.js';

/** No connection: everything is answered at once, nothing is forgotten, all comes back by itself. */
export const outageCases: readonly CaseDefinition[] = [
  {
    name: 'a lost connection is reported and comes back by itself: disconnected, connected, in turn',
    needs: ['disconnect'],
    async run(bed) {
      const client = await bed.connect();
      for (let times = 1; times <= 3; times++) {
        await bed.cut(client);
        await bed.eventually(() => client.count('connected') === times + 1, 'connected again');
      }
      const order = client.events.map(({ type }) => type).filter((type) => /connected$/.test(type));
      const turns = range(3).flatMap(() => ['disconnected', 'connected']);
      assert.deepEqual(order, ['connected', ...turns]);
      for (const event of client.events) if (event.type === 'disconnected') assert.notEqual(event.reason, '');
    },
  },
  {
    name: 'while disconnected a publish fails, does not throw, and can be sent again later',
    needs: ['disconnect', 'refuse'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      await bed.outage(client);
      const batch = range(5).map((id) => client.toRoute(bed.route('a'), { id: `${id}` }));
      for (const result of await client.publish(...batch)) {
        assert.equal(result.status, 'failed');
        assert.ok(errorOf(result).retryable);
      }
      await bed.toggle('refuse', false);
      await client.connected();
      await client.insist(...batch);
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['0', '1', '2', '3', '4'],
      );
    },
  },
  {
    name: 'while disconnected depth, browse and probe reject',
    needs: ['queues', 'disconnect', 'refuse'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q');
      await client.declare(topology);
      await bed.outage(client);
      const { transport, queues } = client;
      await assert.rejects(bed.settled(queues.depth(topology.queue), 'depth()'), isError);
      await assert.rejects(bed.settled(queues.browse(topology.queue), 'browse()'), isError);
      await assert.rejects(bed.settled(transport.probe(), 'probe()'), isError);
    },
  },
  {
    name: 'declare and subscribe while disconnected resolve, and take effect when the broker is back',
    needs: ['disconnect', 'refuse'],
    async run(bed) {
      const client = await bed.connect();
      await bed.outage(client);
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { consuming: false });
      assert.equal(consumer.subscription.consuming, false);
      await bed.toggle('refuse', false);
      await consumer.consuming();
      await client.connected();
      await client.insist(client.toRoute(bed.route('a'), { id: 'x' }));
      assert.equal((await consumer.next()).id, 'x');
    },
  },
  {
    name: 'connect to an unreachable broker resolves and connects when it can be reached',
    needs: ['refuse'],
    async run(bed) {
      await bed.toggle('refuse', true);
      const client = await bed.connect({ connected: false });
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology, { consuming: false });
      assert.equal(client.count('connected'), 0);
      assert.equal((await client.publish(client.toRoute(bed.route('a'))))[0]?.status, 'failed');
      await bed.toggle('refuse', false);
      await client.connected();
      await consumer.consuming();
      await client.insist(client.toRoute(bed.route('a'), { id: 'x' }));
      assert.equal((await consumer.next()).id, 'x');
    },
  },
  {
    name: 'what was declared before the broker could be reached is there when connected is reported',
    needs: ['refuse'],
    async run(bed) {
      await bed.toggle('refuse', true);
      const client = await bed.connect({ connected: false });
      const routes = range(5).map((at) => bed.route(`r${at}`));
      for (const [at, route] of routes.entries()) {
        const topology = bed.topology(`q${at}`, [route]);
        if (at % 2 === 0) await client.declare(topology);
        else await client.consume(topology, { consuming: false });
      }
      const told = client.onEvent.bind(client);
      const published = new Promise<PublishResult[]>((resolve) => {
        client.onEvent = (event) => {
          told(event);
          // At once: whoever waits for this event publishes what has waited.
          if (event.type === 'connected')
            resolve(client.publish(...routes.map((route, at) => client.toRoute(route, { id: `${at}` }))));
        };
      });
      await bed.toggle('refuse', false);
      const results = await bed.settled(published, 'the results');
      assert.deepEqual(
        results.map(({ status }) => status),
        routes.map(() => 'confirmed'),
      );
    },
  },
  {
    name: 'a subscription that is stopped while disconnected stays stopped',
    needs: ['queues', 'disconnect', 'refuse'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const stopped = await client.consume(topology);
      const other = await client.consume(bed.topology('other'));
      await bed.outage(client);
      await stopped.stop();
      await bed.toggle('refuse', false);
      await client.connected();
      await other.consuming();
      await client.insist(client.toRoute(bed.route('a')));
      await client.upToFence(other);
      assert.equal(await client.depth(topology.queue), 1);
      assert.equal(stopped.received.length, 0);
    },
  },
  {
    name: 'a subscription that is paused while the connection is lost stays paused until resumed',
    needs: ['disconnect'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const paused = await client.consume(topology);
      const other = await client.consume(bed.topology('other'));
      paused.pause();
      await bed.cut(client);
      await client.connected();
      await other.consuming();
      await client.insist(client.toRoute(bed.route('a'), { id: 'x' }));
      await client.upToFence(other);
      assert.equal(paused.received.length, 0);
      paused.resume();
      assert.equal((await paused.next()).id, 'x');
    },
  },
  {
    name: 'close while disconnected resolves, and nothing reconnects afterwards',
    needs: ['disconnect', 'refuse'],
    async run(bed) {
      const [client, other] = [await bed.connect(), await bed.connect()];
      await client.consume(bed.topology('q'));
      await bed.outage(client, other);
      await client.close();
      await bed.toggle('refuse', false);
      await other.connected();
      await bed.settled(other.transport.probe(), 'probe()');
      assert.equal(client.count('connected'), 1);
    },
  },
];

const isError = (error: unknown): boolean => error instanceof Error && error.name !== 'AssertionError';
