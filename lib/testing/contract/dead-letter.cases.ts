import assert from 'node:assert/strict';
import { header } from '../../message/headers.js';
import { arrived } from './routing.cases.js';
import type { CaseDefinition } from './case.js';
import type { Client } from './client.js';
import type { Consumer } from './consumer.js';
import {
  allProperties,
  assertContainsHeaders,
  assertSameBody,
  assertSameProperties,
  everyByte,
  textHeaders,
  typedHeaders,
} from './samples.js';
import type { TestBed } from './test-bed.js';

/** Subscribers of everything, who must never see what is private to another group. */
async function spies(bed: TestBed, client: Client): Promise<Consumer[]> {
  const all = await client.consume(bed.topology('all', ['#']));
  const two = await client.consume(bed.topology('two', ['*.*']));
  return [all, two];
}

/** Dead letters are complete, and retries and dead letters stay within their group. */
export const deadLetterCases: readonly CaseDefinition[] = [
  {
    name: 'a dead letter reaches the dead-letter queue bound by its route, complete',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const headers = bed.harness.textHeaders ? textHeaders : typedHeaders;
      const route = topology.deadLetter?.route ?? '';
      const dead = client.outgoing(
        { kind: 'dead-letter', route },
        { route: bed.route('a'), body: everyByte, headers, properties: allProperties },
      );
      await client.confirmed(dead);
      const consumer = await client.consume(bed.deadLetters(topology));
      const { message } = await consumer.next();
      assert.equal(message.id, dead.message.id);
      assert.equal(message.route, bed.route('a'), 'the route the publisher named survives');
      assertSameBody(message.body, everyByte);
      assertContainsHeaders(message.headers, headers);
      assertSameProperties(message.properties, allProperties);
      assert.deepEqual(await client.upToFence(consumer), []);
    },
  },
  {
    name: 'what was taken at the limit has room to be retried and to become a dead letter, with all it had and the reason',
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const body = Buffer.alloc(Math.min(client.transport.capabilities.maxBytes, 2 ** 20), 'x');
      const headers = { token: 'x'.repeat(40_000) };
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'large', body, headers }));
      const first = await consumer.next();
      const origin = { [header.originQueue]: topology.queue, [header.originRoute]: bed.route('a') };
      const copied = { ...first.message.headers, ...origin, [header.attempt]: 2 };
      await client.confirmed(client.toQueue(topology.queue, { ...first.message, headers: copied }));
      first.delivery.ack();
      const retried = await consumer.next();
      assert.equal(Number(retried.message.headers[header.attempt]), 2);
      const error = { [header.errorMessage]: 'm'.repeat(1_024), [header.errorStack]: 's'.repeat(8_192) };
      const dead = { ...retried.message.headers, ...error, [header.reason]: 'attempts-exhausted' };
      const to = { kind: 'dead-letter', route: topology.deadLetter?.route ?? '' } as const;
      await client.confirmed(client.outgoing(to, { ...retried.message, headers: dead }));
      retried.delivery.ack();
      const { message } = await (await client.consume(bed.deadLetters(topology))).next();
      assertSameBody(message.body, body);
      assertContainsHeaders(message.headers, { ...headers, ...origin, [header.reason]: 'attempts-exhausted' });
    },
  },
  {
    name: 'a dead letter reaches the dead-letter queue of its own group only',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const [one, two] = [bed.topology('one', [bed.route('a')]), bed.topology('two', [bed.route('a')])];
      await client.declare(one);
      await client.declare(two);
      await client.confirmed(client.outgoing({ kind: 'dead-letter', route: one.deadLetter?.route ?? '' }, { id: 'x' }));
      assert.equal(await client.depth(two.deadLetter?.queue ?? ''), 0);
      assert.equal(await client.depth(one.deadLetter?.queue ?? ''), 1);
      assert.equal(await client.depth(one.queue), 0);
    },
  },
  {
    name: 'group privacy: a subscriber of # or *.* sees no dead letter',
    needs: ['wildcards'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const watching = await spies(bed, client);
      const id = `${bed.id}/dead`;
      const to = { kind: 'dead-letter', route: topology.deadLetter?.route ?? '' } as const;
      await client.confirmed(client.outgoing(to, { id, route: bed.route('a') }));
      assert.equal((await (await client.consume(bed.deadLetters(topology))).next()).id, id);
      for (const spy of watching) assert.deepEqual(await arrived(client, spy, new Set([id])), []);
    },
  },
  {
    name: 'group privacy: a subscriber of # or *.* sees no retry',
    needs: ['wildcards'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const watching = await spies(bed, client);
      const id = `${bed.id}/retry`;
      await client.confirmed(client.toQueue(topology.queue, { id, route: bed.route('a') }));
      assert.equal((await consumer.next()).id, id);
      for (const spy of watching) assert.deepEqual(await arrived(client, spy, new Set([id])), []);
    },
  },
  {
    name: 'group privacy: a subscriber of # or *.* sees no delayed retry',
    needs: ['wildcards', 'delay'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      const consumer = await client.consume(topology);
      const watching = await spies(bed, client);
      const id = `${bed.id}/retry`;
      const fields = { id, route: bed.route('a') };
      await client.confirmed(client.toQueue(topology.queue, fields, { dueAt: bed.now + 200 }));
      assert.equal((await consumer.next()).id, id);
      for (const spy of watching) assert.deepEqual(await arrived(client, spy, new Set([id])), []);
    },
  },
  {
    name: 'group privacy: neither retry nor dead letter reaches another group of the same route',
    async run(bed) {
      const client = await bed.connect();
      const mine = bed.topology('mine', [bed.route('a')]);
      await client.declare(mine);
      const other = await client.consume(bed.topology('other', [bed.route('a')]));
      const [retry, dead] = [`${bed.id}/retry`, `${bed.id}/dead`];
      await client.confirmed(
        client.toQueue(mine.queue, { id: retry, route: bed.route('a') }),
        client.outgoing(
          { kind: 'dead-letter', route: mine.deadLetter?.route ?? '' },
          { id: dead, route: bed.route('a') },
        ),
        client.toRoute(bed.route('a'), { id: 'event' }),
      );
      assert.deepEqual(
        (await client.upToFence(other)).map(({ id }) => id),
        ['event'],
      );
    },
  },
  {
    name: 'a queue without dead letters can be declared and consumed',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const consumer = await client.consume(bed.topology('q', [bed.route('a')], { deadLetter: undefined }));
      await client.confirmed(client.toRoute(bed.route('a'), { id: 'plain' }));
      assert.equal((await consumer.next()).id, 'plain');
      assert.equal(await client.depth(`${bed.id}:q:dlq`), undefined);
    },
  },
];
