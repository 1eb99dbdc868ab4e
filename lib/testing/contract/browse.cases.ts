import assert from 'node:assert/strict';
import { systemClock } from '../../clock/clock.js';
import type { DeadLetter } from '../../dead-letter/dead-letter.js';
import { QueuePlace } from '../../dead-letter/queue-place.js';
import { header } from '../../message/headers.js';
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
      // Of one key, for brokers that keep the order of no more.
      const fields = { body: everyByte, headers: { ...textHeaders, [header.key]: 'k' } };
      await client.confirmed(...ids.map((id) => client.toRoute(bed.route('a'), { id, ...fields })));
      const browser = await bed.settled(client.queues.browse(topology.queue), 'browse()');
      const seen = await readAll(bed, browser);
      assert.deepEqual(
        seen.map(({ message }) => message.id),
        ids,
      );
      assertSameBody(seen[0]?.message.body ?? Buffer.alloc(0), everyByte);
      assertSameHeaders(seen[0]?.message.headers ?? {}, fields.headers);
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
    name: 'a browser tells how many messages are behind the one it has shown, also while it removes, and never too many',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const dead = bed.deadLetters(topology);
      const to = { kind: 'dead-letter', route: topology.deadLetter?.route ?? '' } as const;
      await client.confirmed(...range(5).map((id) => client.outgoing(to, { id: `${id}` })));
      await client.depthOf(dead.queue, 5);
      const browser = await bed.settled(client.queues.browse(dead.queue), 'browse()');
      const behind: number[] = [];
      const shown: string[] = [];
      for (;;) {
        const delivery = await bed.settled(browser.next(), 'next()');
        if (!delivery) break;
        shown.push(delivery.message.id);
        behind.push(await bed.settled(browser.behind(), 'behind()'));
        if (shown.length !== 2) delivery.ack();
      }
      assert.deepEqual(shown, ['0', '1', '2', '3', '4']);
      assert.deepEqual(behind, [4, 3, 2, 1, 0]);
      await bed.settled(browser.close(), 'close()');
      await client.depthOf(dead.queue, 1);
    },
  },
  {
    name: 'dead letters that are too old or too many leave their queue, the oldest first, and no more than that when two processes see to it',
    needs: ['queues'],
    async run(bed) {
      const client = await bed.connect();
      const topology = bed.topology('q', [bed.route('a')]);
      await client.declare(topology);
      const dead = bed.deadLetters(topology);
      const now = systemClock.now();
      const to = { kind: 'dead-letter', route: topology.deadLetter?.route ?? '' } as const;
      for (const id of range(8))
        await client.confirmed(
          client.outgoing(to, { id: `${id}`, headers: { [header.originTime]: now - 8_000 + id * 1_000 } }),
        );
      await client.depthOf(dead.queue, 8);
      const other = await bed.connect();
      const places = [client, other].map((one) => new QueuePlace(dead.queue, one.queues, systemClock));
      const expire = async (before: number, maxCount: number, by = places): Promise<string[]> => {
        const gone: string[] = [];
        const deleted = ({ id }: DeadLetter, cause: string): void => void gone.push(`${id} ${cause}`);
        const isStopped = (): boolean => false;
        await bed.settled(
          Promise.all(by.map((place) => place.expire({ before, maxCount, deleted, isStopped }))),
          'expire()',
        );
        return gone;
      };
      const [place] = places;
      assert.deepEqual(await expire(now - 6_000, Infinity, [place]), ['0 maxAge', '1 maxAge']);
      assert.equal(await bed.settled(place.oldest(now - 6_000), 'oldest()'), undefined);
      assert.equal(await bed.settled(place.oldest(now - 5_000), 'oldest()'), now - 6_000);
      await client.depthOf(dead.queue, 6);
      assert.deepEqual(await expire(-Infinity, 5, [place]), ['2 maxCount']);
      await client.depthOf(dead.queue, 5);
      // What one holds the other does not see: at most there are more for once, and one newer is taken for it.
      const gone = await expire(-Infinity, 3);
      assert.ok(gone.length <= 2, `${gone.join()} are more than two`);
      gone.push(...(await expire(-Infinity, 3, [place])));
      assert.equal(gone.length, 2);
      await client.depthOf(dead.queue, 3);
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
