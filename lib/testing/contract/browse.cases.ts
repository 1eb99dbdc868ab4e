import assert from 'node:assert/strict';
import type { Browser } from '../../transport/queue-operations.js';
import type { Delivery } from '../../transport/delivery.js';
import type { CaseDefinition } from './case.js';
import { assertSameBody, assertSameHeaders, everyByte, range, textHeaders } from './samples.js';
import type { TestBed } from './test-bed.js';

/** Everything there is to see, to the end. */
async function readAll(bed: TestBed, browser: Browser): Promise<Delivery[]> {
  const seen: Delivery[] = [];
  for (;;) {
    const delivery = await bed.settled(browser.next(), 'next()');
    if (!delivery) return seen;
    seen.push(delivery);
  }
}

/** Looking into a queue changes it only where one acks. */
export const browseCases: readonly CaseDefinition[] = [
  {
    name: 'a browser sees every message of a queue in order, complete, and gives all back',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const ids = range(25).map(String);
      const fields = { body: everyByte, headers: textHeaders };
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id, ...fields })));
      const browser = await bed.settled(client.queues.browse(topology.queue), 'browse()');
      const seen = await readAll(bed, browser);
      assert.deepEqual(
        seen.map(({ message }) => message.id),
        ids,
      );
      assertSameBody(seen[0]?.message.body ?? Buffer.alloc(0), everyByte);
      assertSameHeaders(seen[0]?.message.headers ?? {}, textHeaders);
      assert.equal(await bed.settled(browser.next(), 'next()'), undefined, 'the end stays the end');
      await bed.settled(browser.close(), 'close()');
      await client.depthOf(topology.queue, 25);
    },
  },
  {
    name: 'what a browser acks is gone, what it releases or leaves is still there',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(...range(6).map((id) => client.toRoute(bed.route('a'), { id: `${id}` })));
      const browser = await bed.settled(client.queues.browse(topology.queue), 'browse()');
      const seen = await readAll(bed, browser);
      for (const delivery of seen) {
        if (['1', '4'].includes(delivery.message.id)) delivery.ack();
        if (delivery.message.id === '2') delivery.release();
      }
      await bed.settled(browser.close(), 'close()');
      await bed.settled(browser.close(), 'close() again');
      const other = await bed.connect();
      const left = await other.upToFence(await other.consume(topology));
      assert.deepEqual(left.map(({ id }) => id).sort(), ['0', '2', '3', '5']);
    },
  },
  {
    name: 'a browser closed before the end gives back what it has read',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      await client.confirmed(...range(10).map(() => client.toRoute(bed.route('a'))));
      const browser = await bed.settled(client.queues.browse(topology.queue), 'browse()');
      for (let count = 0; count < 3; count++) assert.ok(await bed.settled(browser.next(), 'next()'));
      await bed.settled(browser.close(), 'close()');
      await client.depthOf(topology.queue, 10);
    },
  },
  {
    name: 'a browser ends at what was there when it began, and at once in an empty queue',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const empty = await bed.settled(client.queues.browse(topology.queue), 'browse()');
      assert.deepEqual(await readAll(bed, empty), []);
      await bed.settled(empty.close(), 'close()');
      await client.confirmed(...range(3).map(() => client.toRoute(bed.route('a'))));
      const browser = await bed.settled(client.queues.browse(topology.queue), 'browse()');
      for (let count = 0; count < 3; count++) {
        assert.ok(await bed.settled(browser.next(), 'next()'));
        await client.confirmed(client.toRoute(bed.route('a')));
      }
      assert.equal(await bed.settled(browser.next(), 'next()'), undefined);
      await bed.settled(browser.close(), 'close()');
      await client.depthOf(topology.queue, 6);
    },
  },
  {
    name: 'a closed browser is gone on with: what it gave back comes again, what came to the queue since is only counted',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const dead = bed.deadLetters(topology);
      const write = (...ids: string[]): Promise<void> =>
        client.confirmed(
          ...ids.map((id) => client.outgoing({ kind: 'dead-letter', route: topology.deadLetter?.route ?? '' }, { id })),
        );
      const look = async (rest?: Browser): Promise<Browser> =>
        bed.settled(client.queues.browse(dead.queue, rest), 'browse()');
      await write('0', '1', '2', '3', '4');
      const first = await look();
      const seen: Delivery[] = [];
      for (let count = 0; count < 3; count++) seen.push((await bed.settled(first.next(), 'next()')) as Delivery);
      seen[1]?.ack();
      await write('5', '6');
      await bed.settled(first.close(), 'close()');

      const second = await look(first);
      assert.equal(await bed.settled(second.arrived(), 'arrived()'), 2);
      const shown = await readAll(bed, second);
      assert.deepEqual(
        shown.map(({ message }) => message.id),
        ['0', '2', '3', '4'],
      );
      for (const delivery of shown) delivery.ack();
      await bed.settled(second.close(), 'close()');

      const third = await look(second);
      assert.equal(await bed.settled(third.arrived(), 'arrived()'), 2, 'counted from the beginning of the first look');
      assert.deepEqual(await readAll(bed, third), []);
      await bed.settled(third.close(), 'close()');
      await client.depthOf(dead.queue, 2);
    },
  },
  {
    name: 'browsing a queue that does not exist is an error or the end, never a hang',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const missing = async (): Promise<Delivery[]> => {
        const browser = await client.queues.browse(bed.queue('missing'));
        return readAll(bed, browser);
      };
      const outcome = await bed.settled(
        missing().then(
          (seen) => seen.length,
          () => 0,
        ),
        'browsing a missing queue',
      );
      assert.equal(outcome, 0);
      await bed.settled(client.transport.probe(), 'probe()');
    },
  },
];
