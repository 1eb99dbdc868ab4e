import assert from 'node:assert/strict';
import type { Client } from './client.js';
import type { CaseDefinition } from './case.js';
import type { Consumer } from './consumer.js';
import { range, sorted } from './samples.js';
import type { TestBed } from './test-bed.js';

/** What the consumer got of these ids; others on a wide pattern are not this case's own. */
export async function arrived(client: Client, consumer: Consumer, ids: ReadonlySet<string>): Promise<string[]> {
  await client.upToFence(consumer);
  return sorted(consumer.ids.filter((id) => ids.has(id)));
}

/** Published routes (below the case's own first word; the empty one is that word alone). */
const routes = ['', 'a', 'a.b', 'a.b.c', 'a.x.c', 'a.b.b.c', 'b.c', 'a.end', 'a.b.end', 'end', 'A.b'];

/** Each pattern with the routes it takes. `~` stands for the case's own first word. */
const table: Readonly<Record<string, readonly string[]>> = {
  '~.a.b': ['a.b'],
  '~.*': ['a', 'end'],
  '~.#': routes,
  '#': routes,
  '*': [''],
  '*.*': ['a', 'end'],
  '~.a.*': ['a.b', 'a.end'],
  '~.a.#': ['a', 'a.b', 'a.b.c', 'a.x.c', 'a.b.b.c', 'a.end', 'a.b.end'],
  '~.a.*.c': ['a.b.c', 'a.x.c'],
  '~.a.#.c': ['a.b.c', 'a.x.c', 'a.b.b.c'],
  '~.#.end': ['a.end', 'a.b.end', 'end'],
  '~.#.b.#': ['a.b', 'a.b.c', 'a.b.b.c', 'b.c', 'a.b.end', 'A.b'],
  '~.*.#': routes.filter((route) => route !== ''),
};

/** Which queue gets which message. */
export const routingCases: readonly CaseDefinition[] = [
  {
    name: 'a route reaches the queues bound for exactly it',
    run: async (bed) => {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a', 'b')]));
      const near = [bed.route('a'), bed.route('a', 'b', 'c'), bed.route('a', 'B'), bed.route('b', 'a')];
      await client.confirmed(...near.map((route) => client.toRoute(route, {}, { mandatory: false })));
      await client.confirmed(client.toRoute(bed.route('a', 'b'), { id: 'hit' }));
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['hit'],
      );
    },
  },
  {
    name: 'wildcards: each pattern takes what AMQP says it takes',
    needs: ['wildcards'],
    async run(bed) {
      const client = await bed.connect();
      const consumers = new Map<string, Consumer>();
      for (const [index, pattern] of Object.keys(table).entries()) {
        consumers.set(pattern, await client.consume(bed.topology(`p${index}`, [pattern.replace('~', bed.id)])));
      }
      const ids = new Set(routes.map((route) => `${bed.id}/${route}`));
      await client.confirmed(...routes.map((route) => client.toRoute(below(bed, route), { id: `${bed.id}/${route}` })));
      const found: Record<string, string[]> = {};
      for (const [pattern, consumer] of consumers) {
        found[pattern] = (await arrived(client, consumer, ids)).map((id) => id.slice(bed.id.length + 1));
      }
      const expected = Object.fromEntries(Object.entries(table).map(([pattern, taken]) => [pattern, sorted(taken)]));
      assert.deepEqual(found, expected);
    },
  },
  {
    name: 'overlapping patterns of one queue deliver a message once',
    needs: ['wildcards'],
    async run(bed) {
      const client = await bed.connect();
      const patterns = [bed.route('a', 'b'), bed.route('a', '*'), bed.route('#'), '*.*.*'];
      const consumer = await client.consume(bed.topology('q', patterns));
      await client.confirmed(client.toRoute(bed.route('a', 'b'), { id: bed.id }));
      assert.deepEqual(await arrived(client, consumer, new Set([bed.id])), [bed.id]);
    },
  },
  {
    name: 'several routes lead to one queue',
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a'), bed.route('b')]));
      await client.confirmed(...['a', 'b', 'a'].map((word) => client.toRoute(bed.route(word), { id: word })));
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['a', 'b', 'a'],
      );
    },
  },
  {
    name: 'two groups each get every message',
    async run(bed) {
      const client = await bed.connect();
      const one = await client.consume(bed.topology('one', [bed.route('a')]));
      const two = await client.consume(bed.topology('two', [bed.route('a')]));
      const ids = range(50).map(String);
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id })));
      for (const consumer of [one, two]) {
        assert.deepEqual(
          (await client.upToFence(consumer)).map(({ id }) => id),
          ids,
        );
      }
    },
  },
  {
    name: 'what is sent to a queue by its name reaches that queue alone',
    async run(bed) {
      const client = await bed.connect();
      const target = bed.topology('target', [bed.route('a')]);
      const consumer = await client.consume(target);
      const sibling = await client.consume(bed.topology('sibling', [bed.route('a'), target.queue]));
      await client.confirmed(client.toQueue(target.queue, { id: 'direct', route: bed.route('a') }));
      assert.deepEqual(
        (await client.upToFence(consumer)).map(({ id }) => id),
        ['direct'],
      );
      assert.deepEqual(await client.upToFence(sibling), []);
    },
  },
  {
    name: 'a topic of its own is apart from the default one',
    async run(bed) {
      const client = await bed.connect();
      const topic = `${bed.id}-topic`;
      const apart = await client.consume(bed.topology('apart', [bed.route('a')], { topic }));
      const usual = await client.consume(bed.topology('usual', [bed.route('a')]));
      await client.confirmed(
        client.toRoute(bed.route('a'), { id: 'usual' }),
        client.outgoing({ kind: 'route', topic, route: bed.route('a') }, { id: 'apart', route: bed.route('a') }),
      );
      assert.deepEqual(
        (await client.upToFence(apart)).map(({ id, delivery }) => [id, delivery.topic]),
        [['apart', topic]],
      );
      assert.deepEqual(
        (await client.upToFence(usual)).map(({ id }) => id),
        ['usual'],
      );
    },
  },
  {
    name: 'unbound, a queue gets nothing more by its routes and keeps what it has',
    needs: ['queues', 'bindings'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a'), bed.route('b')]);
      await client.declare(topology);
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'before' }));
      await bed.settled(client.queues.unbind(topology), 'unbind()');
      await client.confirmed(
        ...['a', 'b'].map((word) => client.toRoute(bed.route(word), { id: 'after' }, { mandatory: false })),
      );
      const browsing = await (await bed.connect()).consume({ ...topology, patterns: [] });
      assert.deepEqual(
        (await client.upToFence(browsing)).map(({ id }) => id),
        ['before'],
      );
    },
  },
];

function below(bed: TestBed, route: string): string {
  return route === '' ? bed.id : bed.route(route);
}
