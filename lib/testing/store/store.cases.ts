import assert from 'node:assert/strict';
import type { WireMessage } from '../../message/message.js';
import type { Death } from '../../publisher/publisher-dead-letters.js';
import type { StoreBed } from './store-bed.js';

/** A case before it meets a store. */
export interface StoreCase {
  readonly name: string;
  /** Only for a store that outlives its process. */
  readonly durable?: true;
  readonly run: (bed: StoreBed) => Promise<void>;
}

const DEATH: Death = {
  reason: 'expired',
  error: { name: 'MessageExpiredError', code: 'MESSAGE_EXPIRED', message: 'too late' },
  time: 77,
};

function ids(all: Iterable<{ readonly message: WireMessage }>): string[] {
  return Array.from(all, ({ message }) => message.id);
}

export const storeCases: readonly StoreCase[] = [
  {
    name: 'an accepted message comes back as it was, byte for byte, with every kind of header',
    async run(bed) {
      const headers = {
        text: 'ä\n\0',
        number: 1.5,
        nan: NaN,
        yes: true,
        none: null,
        bytes: Uint8Array.from([0, 255]),
        date: new Date(1_000),
        list: [1, 'a', { deep: new Date(5) }],
        tag: { $bytes: 'not bytes' },
      };
      const properties = { contentType: 'x/y', correlationId: 'c', timestamp: 5 };
      const message = { id: 'a', route: 'r', body: Buffer.from([0, 1, 254, 255]), headers, properties };
      const more = { maxAttempts: 3, backoff: { kind: 'fixed', ms: 5 } as const, sendAt: 9, priority: 4, key: 'k' };
      const kept = { message, to: { kind: 'queue', queue: 'q' }, dedupeId: 'a:1', unroutable: 'queue' } as const;
      await bed.append('a', { ...kept, ...more });
      const stored = bed.first();
      assert.deepEqual(Buffer.from(stored.message.headers.bytes as Uint8Array), Buffer.from([0, 255]));
      assert.deepEqual(
        { ...stored.message, headers: { ...stored.message.headers, bytes: undefined } },
        { ...message, headers: { ...headers, bytes: undefined } },
      );
      assert.deepEqual(stored.to, { kind: 'queue', queue: 'q' });
      const { maxAttempts, backoff, sendAt, priority, key, unroutable } = stored;
      assert.deepEqual({ maxAttempts, backoff, sendAt, priority, key }, more);
      assert.equal(unroutable, 'queue');
      assert.equal(stored.dedupeId, 'a:1', 'what a broker recognises a resend by');
    },
  },
  {
    name: 'a message without a body is one like any other',
    async run(bed) {
      const message = { id: 'a', route: 'r', body: Buffer.alloc(0), headers: {}, properties: {} };
      await bed.append('a', { message });
      assert.equal(bed.first().message.body.length, 0);
      assert.deepEqual(bed.ready(), ['a']);
    },
  },
  {
    name: 'a pass goes by priority, then in the order of acceptance',
    async run(bed) {
      for (const [id, priority] of [
        ['a', 0],
        ['b', 9],
        ['c', 0],
        ['d', 5],
        ['e', 9],
      ] as const)
        await bed.append(id, { priority });
      assert.deepEqual(bed.ready(), ['b', 'e', 'd', 'a', 'c']);
    },
  },
  {
    name: 'a message that is being accepted counts, holds its key, and can be removed',
    async run(bed) {
      let told = 0;
      const stored = bed.store.append(bed.message('a', { key: 'k' }), () => told++);
      assert.deepEqual([bed.store.depth, bed.store.bytes, bed.store.holds('k')], [1, 100, true]);
      bed.store.remove(stored);
      await bed.clock.advance(0);
      assert.ok(told <= 1);
      assert.deepEqual([bed.store.depth, bed.store.bytes, bed.store.holds('k'), bed.ready()], [0, 0, false, []]);
    },
  },
  {
    name: 'only the first of a key is handed out, and its removal names the next',
    async run(bed) {
      const a = await bed.append('a', { key: 'k' });
      const b = await bed.append('b', { key: 'k' });
      await bed.append('free');
      assert.deepEqual(bed.ready(), ['a', 'free']);
      assert.deepEqual([bed.store.isFirst(a), bed.store.isFirst(b)], [true, false]);
      assert.equal(bed.store.remove(a)?.message.id, 'b');
      assert.equal(bed.store.holds('k'), true);
      assert.equal(bed.store.remove(b), undefined);
      assert.equal(bed.store.holds('k'), false);
    },
  },
  {
    name: 'one that leaves from behind the first of its key changes nothing for it',
    async run(bed) {
      const a = await bed.append('a', { key: 'k' });
      const b = await bed.append('b', { key: 'k' });
      await bed.append('c', { key: 'k' });
      assert.equal(bed.store.remove(b), undefined);
      assert.deepEqual(bed.ready(), ['a']);
      assert.equal(bed.store.remove(a)?.message.id, 'c');
    },
  },
  {
    name: 'a pass sees what was there when it began and skips what leaves meanwhile',
    async run(bed) {
      const all = [];
      for (let n = 0; n < 300; n++) all.push(await bed.append(`m${n}`));
      const pass = bed.store.ready(0);
      const step = pass.next();
      assert.ok(!step.done && step.value.message.id === 'm0');
      bed.store.remove(all[1]);
      bed.store.remove(all[299]);
      await bed.append('new');
      const seen: string[] = [];
      for (let more = pass.next(); !more.done; more = pass.next()) seen.push(more.value.message.id);
      assert.deepEqual(
        seen,
        all.slice(2, 299).map(({ message }) => message.id),
      );
    },
  },
  {
    name: 'a message is not handed out before its time, and is the only one that a look behind the last one finds',
    async run(bed) {
      await bed.append('now');
      await bed.append('later', { dueAt: 200 });
      await bed.append('sooner', { dueAt: 100 });
      assert.deepEqual([bed.store.nextDueAt(-1), bed.store.nextDueAt(50), bed.store.nextDueAt(100)], [0, 100, 200]);
      assert.deepEqual(bed.ready(99), ['now']);
      assert.deepEqual(bed.ready(100, 99), ['sooner']);
      assert.deepEqual(bed.ready(300, 100), ['later']);
      assert.deepEqual(bed.ready(300).sort(), ['later', 'now', 'sooner']);
    },
  },
  {
    name: 'an updated message waits in its place, with its attempts, and holds its key',
    async run(bed) {
      const a = await bed.append('a', { key: 'k' });
      await bed.append('b', { key: 'k' });
      bed.store.update(a, { dueAt: 500, attempts: 2, returns: 1 });
      assert.deepEqual(bed.ready(499), []);
      assert.equal(bed.store.nextDueAt(0), 500);
      assert.deepEqual(bed.ready(500), ['a']);
      const { attempts, returns, dueAt } = bed.first();
      assert.deepEqual({ attempts, returns, dueAt }, { attempts: 2, returns: 1, dueAt: 500 });
    },
  },
  {
    name: 'what has expired is found, and when the next one will',
    async run(bed) {
      await bed.append('a', { expiresAt: 20 });
      const b = await bed.append('b', { expiresAt: 10 });
      await bed.append('c');
      assert.equal(bed.store.nextExpiry(), 10);
      assert.deepEqual(ids(bed.store.expired(10, 10)), ['b']);
      bed.store.remove(b);
      bed.store.flush();
      assert.equal(bed.store.nextExpiry(), 20);
      assert.deepEqual(bed.store.expired(19, 10), []);
    },
  },
  {
    name: 'a delayed message is found by its id until it is removed',
    async run(bed) {
      await bed.append('a');
      const delayed = await bed.append('d', { dueAt: 100 });
      assert.deepEqual(bed.store.delayed('a'), []);
      assert.deepEqual(ids(bed.store.delayed('d')), ['d']);
      bed.store.remove(delayed);
      bed.store.flush();
      assert.deepEqual(bed.store.delayed('d'), []);
    },
  },
  {
    name: 'a buried message is a dead letter, found by its place, and makes room for the next of its key',
    async run(bed) {
      const a = await bed.append('a', { key: 'k', attempts: 3 });
      await bed.append('b', { key: 'k' });
      assert.equal(bed.store.bury(a, DEATH)?.message.id, 'b');
      assert.deepEqual([bed.store.depth, bed.store.deadLetters.size], [1, 1]);
      const [letter] = bed.store.deadLetters.after(0, 10);
      const [oldest] = bed.store.deadLetters.oldest?.(10) ?? [letter];
      assert.equal(oldest.seq, letter.seq);
      assert.deepEqual([letter.message.id, letter.reason, letter.attempts, letter.time], ['a', 'expired', 3, 77]);
      assert.deepEqual(
        [letter.error.name, letter.error.code, letter.error.message],
        ['MessageExpiredError', 'MESSAGE_EXPIRED', 'too late'],
      );
      const found = bed.store.find(a.seq);
      assert.ok(typeof found === 'object' && found.message.id === 'a');
      assert.equal(bed.store.deadLetters.delete(letter), true);
      assert.equal(bed.store.deadLetters.delete(letter), false);
      assert.deepEqual([bed.store.deadLetters.size, bed.store.find(a.seq)], [0, 'gone']);
    },
  },
  {
    name: 'it is known whether a message still waits, and no place is given twice',
    async run(bed) {
      const a = await bed.append('a');
      assert.equal(bed.store.find(a.seq), 'waiting');
      bed.store.remove(a);
      bed.store.flush();
      assert.equal(bed.store.find(a.seq), 'gone');
      assert.ok((await bed.append('b')).seq > a.seq);
    },
  },
  {
    name: 'it tells since when the oldest of those due waits',
    async run(bed) {
      assert.equal(bed.store.oldestQueuedAt(1_000), undefined);
      await bed.append('delayed', { queuedAt: 10, dueAt: 5_000 });
      await bed.append('a', { queuedAt: 20 });
      await bed.append('b', { queuedAt: 30 });
      assert.equal(bed.store.oldestQueuedAt(1_000), 20);
    },
  },
  {
    name: 'what was accepted is there after the process, in its order, with its times and attempts',
    durable: true,
    async run(bed) {
      const a = await bed.append('a', { key: 'k', expiresAt: 99, queuedAt: 5 });
      bed.store.update(a, { dueAt: 3, attempts: 2, returns: 1 });
      await bed.append('b', { key: 'k' });
      await bed.append('c', { priority: 9 });
      await bed.reopen();
      assert.deepEqual([bed.store.depth, bed.store.bytes, bed.store.holds('k')], [3, 300, true]);
      assert.deepEqual(bed.ready(), ['c', 'a']);
      const pass = bed.store.ready(10);
      pass.next();
      const step = pass.next();
      assert.ok(!step.done);
      const { attempts, returns, dueAt, expiresAt, queuedAt } = step.value;
      assert.deepEqual([attempts, returns, dueAt, expiresAt, queuedAt], [2, 1, 3, 99, 5]);
    },
  },
  {
    name: 'what was removed or buried is not there after the process, and dead letters are',
    durable: true,
    async run(bed) {
      bed.store.remove(await bed.append('a'));
      bed.store.bury(await bed.append('b'), DEATH);
      await bed.append('c');
      await bed.reopen();
      assert.deepEqual(bed.ready(), ['c']);
      assert.deepEqual(ids(bed.store.deadLetters.after(0, 10)), ['b']);
    },
  },
];
