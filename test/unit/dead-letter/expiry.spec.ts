import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { diskRetryQueue, memoryDeadLetterArchive, type MessagingModuleOptions } from 'nestjs-messaging';
import type { DeadLetterArchive } from '../../../lib/dead-letter/dead-letter-archive.js';
import { archiveEntry } from '../../../lib/dead-letter/dead-letter-collector.js';
import { resolveOptions } from '../../../lib/messaging.options.js';
import { type Application, start } from '../support/application.js';
import { DLQ, letter, lettersIn } from '../support/dead-letters.js';
import { confirmed, FakeTransport } from '../support/fake-transport.js';

const MINUTE = 60_000;
const START = Date.UTC(2030, 0, 1);
const folder = mkdtempSync(join(tmpdir(), 'expiry-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Given up so many milliseconds before the test begins. */
const old = (id: string, ageMs: number): ReturnType<typeof letter> =>
  letter(id, { 'messaging-origin-time': START - ageMs });

/** A subscription with these dead letters in its queue. */
async function withOld(
  options: MessagingModuleOptions,
  ...letters: ReturnType<typeof letter>[]
): Promise<Application & { expired: unknown[] }> {
  const app = await start(options);
  const expired = app.record('dead-letter-expired');
  app.transport.stored.set(DLQ, letters);
  await app.subscribe(() => undefined);
  await app.turn();
  return Object.assign(app, { expired });
}

describe('dead letters that are too old', () => {
  test('are deleted from their queue, each with an event, together with a warning, and counted in health', async () => {
    const app = await withOld({ deadLetters: { maxAge: 10 * MINUTE } }, old('a', 11 * MINUTE), old('b', 5 * MINUTE));
    expect(lettersIn(app)).toEqual(['b']);
    expect(app.expired).toEqual([
      {
        place: `«${DLQ}»`,
        cause: 'maxAge',
        id: 'a',
        route: 'order.created',
        reason: 'attempts-exhausted',
        time: START - 11 * MINUTE,
      },
    ]);
    expect(app.logged('warn')).toContain(
      `1 dead letters in «${DLQ}» were deleted: older than maxAge, ${10 * MINUTE} ms`,
    );
    expect(app.messaging.health().deadLetters.expiry).toEqual({
      maxAge: 10 * MINUTE,
      expired: { maxAge: 1, maxCount: 0 },
    });
    expect(app.messaging.health().status).toBe('up');
  });

  test('are deleted at the first look after they have become that', async () => {
    const app = await withOld({ deadLetters: { maxAge: 10 * MINUTE, interval: MINUTE } }, old('a', 5 * MINUTE));
    await app.clock.advance(5 * MINUTE);
    expect(lettersIn(app)).toEqual(['a']);
    await app.clock.advance(MINUTE);
    expect(lettersIn(app)).toEqual([]);
  });

  test('are not looked for in a queue before its first one can be too old', async () => {
    const transport = new FakeTransport();
    let looks = 0;
    const queues = transport.queues!;
    const browse = queues.browse.bind(queues);
    queues.browse = (...args) => {
      looks++;
      return browse(...args);
    };
    const app = await start({ deadLetters: { maxAge: 60 * MINUTE } }, transport);
    transport.stored.set(DLQ, [old('a', 10 * MINUTE), old('b', 5 * MINUTE)]);
    await app.subscribe(() => undefined);
    await app.clock.advance(49 * MINUTE);
    expect(looks).toBe(1);
    await app.clock.advance(2 * MINUTE);
    expect(lettersIn(app)).toEqual(['b']);
    expect(looks).toBe(2);
  });

  test('never are those whose time nobody has told, and these hold up no other', async () => {
    const unknown = letter('unknown', { 'messaging-origin-time': undefined });
    const app = await withOld({ deadLetters: { maxAge: MINUTE } }, unknown, old('a', 2 * MINUTE));
    expect(lettersIn(app)).toEqual(['unknown']);
  });
});

describe('dead letters that are too many', () => {
  test('leave their queue, the oldest first', async () => {
    const app = await withOld({ deadLetters: { maxCount: 2 } }, old('a', 3), old('b', 2), old('c', 1), old('d', 0));
    expect(lettersIn(app)).toEqual(['c', 'd']);
    expect(app.expired).toMatchObject([
      { id: 'a', cause: 'maxCount' },
      { id: 'b', cause: 'maxCount' },
    ]);
    expect(app.logged('warn')).toContain(`2 dead letters in «${DLQ}» were deleted: more than maxCount, 2`);
  });

  test('are seen to soon after one was written, not only at the next look', async () => {
    const app = await withOld({ deadLetters: { maxCount: 1 }, retry: false }, old('a', 1));
    const subscription = await app.subscribe(() => Promise.reject(new Error('no')), { route: 'other' });
    app.transport.answer = () => confirmed;
    subscription.deliver({ id: 'x' });
    app.transport.stored.set(DLQ, [old('a', 1), old('b', 0)]);
    await app.clock.advance(1_000);
    expect(lettersIn(app)).toEqual(['b']);
  });

  test('are none with maxCount 0: nothing is kept', async () => {
    const app = await withOld({ deadLetters: { maxCount: 0 } }, old('a', 1));
    expect(lettersIn(app)).toEqual([]);
  });
});

describe('dead letters elsewhere', () => {
  test('in the archive are deleted as well, but what may be tried again', async () => {
    let store!: DeadLetterArchive;
    const inner = memoryDeadLetterArchive();
    const archive = { ...inner, durable: true, create: (environment: never) => (store = inner.create(environment)) };
    const app = await start({ deadLetters: { archive, maxAge: MINUTE, maxCount: 2 } });
    const expired = app.record('dead-letter-expired');
    await store.add(
      [old('a', 3 * MINUTE), old('b', 2 * MINUTE), old('c', 3), old('d', 2), old('e', 1)].map((one) =>
        archiveEntry('gone', one),
      ),
    );
    const [first] = await store.page({}, 0, 1);
    await store.allowRetry([first.key], true);
    await store.claim([first.key], 'somebody', 10 * MINUTE);
    await app.subscribe(() => undefined);
    await app.turn();
    expect((await store.page({}, 0, 10)).map(({ message }) => message.id)).toEqual(['a', 'd', 'e']);
    expect(expired).toMatchObject([
      { id: 'b', cause: 'maxAge', place: 'the archive' },
      { id: 'c', cause: 'maxCount' },
    ]);
  });

  test.each([
    ['in memory', undefined],
    ['on disk', diskRetryQueue({ directory: folder })],
  ])('of the publisher, %s, are deleted as well', async (_, store) => {
    const app = await start({
      deadLetters: { maxAge: 10 * MINUTE, maxCount: 2 },
      ...(store && { retryQueue: { store } }),
    });
    const expired = app.record('dead-letter-expired');
    app.messaging.startChecks();
    app.transport.disconnected();
    // Given up in another order than sent.
    for (const [id, ttl] of [
      ['a', 3 * MINUTE],
      ['b', 10],
      ['c', 2 * MINUTE],
      ['d', MINUTE],
    ] as const)
      app.publish('order.created', 1, { id, ttl });
    await app.clock.advance(5 * MINUTE);
    const own = async (): Promise<string[]> => (await app.messaging.deadLetters.list()).map(({ id }) => id).sort();
    expect(await own()).toEqual(['a', 'c']);
    expect(expired).toMatchObject([
      { id: 'b', cause: 'maxCount', place: "the publisher's dead letters" },
      { id: 'd', cause: 'maxCount' },
    ]);
    await app.clock.advance(15 * MINUTE);
    expect(await own()).toEqual([]);
    expect(app.messaging.health().deadLetters.expiry).toMatchObject({ expired: { maxAge: 2, maxCount: 2 } });
    await app.messaging.close();
  });

  test('are looked after though one place cannot be: that is told once, and tried again', async () => {
    const transport = new FakeTransport();
    const queues = transport.queues!;
    const browse = queues.browse.bind(queues);
    let broken = true;
    queues.browse = (...args) => (broken ? Promise.reject(new Error('no permission')) : browse(...args));
    const app = await start({ deadLetters: { maxCount: 0 } }, transport);
    const errors = app.record('store-error');
    transport.stored.set(DLQ, [old('a', 1)]);
    await app.subscribe(() => undefined);
    await app.clock.advance(3 * MINUTE);
    expect(app.logged('error')).toEqual([
      `Dead letters in «${DLQ}» could not be looked through, it is tried again: no permission`,
    ]);
    expect(errors.length).toBeGreaterThan(1);
    broken = false;
    await app.clock.advance(MINUTE);
    expect(lettersIn(app)).toEqual([]);
  });
});

describe('many dead letters', () => {
  const MANY = 250;

  /** The most that are deleted without the event loop turning, once all are gone. */
  async function mostAtOnce(app: Application, begin: () => Promise<unknown>): Promise<number> {
    const atOnce = [0];
    let all = 0;
    app.messaging.events.on('dead-letter-expired', () => {
      atOnce[atOnce.length - 1]++;
      all++;
    });
    let isOver = false;
    const turning = (): void => {
      atOnce.push(0);
      if (!isOver) setImmediate(turning);
    };
    turning();
    await begin();
    while (all < MANY) await app.turn();
    isOver = true;
    await app.messaging.close();
    return Math.max(...atOnce);
  }

  const many = Array.from({ length: MANY }, (_, at) => old(`m${at}`, MANY - at));

  test('of a queue are deleted in parts, between which the event loop turns', async () => {
    const app = await start({ deadLetters: { maxCount: 0 } });
    app.transport.stored.set(DLQ, [...many]);
    expect(await mostAtOnce(app, () => app.subscribe(() => undefined))).toBeLessThanOrEqual(100);
  });

  test('of the archive as well', async () => {
    let store!: DeadLetterArchive;
    const inner = memoryDeadLetterArchive();
    const archive = { ...inner, durable: true, create: (environment: never) => (store = inner.create(environment)) };
    const app = await start({ deadLetters: { archive, maxCount: 0 } });
    await store.add(many.map((one) => archiveEntry('gone', one)));
    expect(await mostAtOnce(app, () => app.subscribe(() => undefined))).toBeLessThanOrEqual(25);
  });

  test('of the publisher as well', async () => {
    const app = await start({ deadLetters: { maxCount: 0 }, retryQueue: { store: diskRetryQueue({ directory: folder }) } }); // prettier-ignore
    app.messaging.startChecks();
    app.transport.disconnected();
    for (const { id } of many) app.publish('order.created', 1, { id, ttl: 10 });
    expect(await mostAtOnce(app, () => app.clock.advance(2 * MINUTE))).toBeLessThanOrEqual(100);
  });
});

describe('limits', () => {
  test('are off by default: nothing is deleted, no timer runs, health says nothing of them', async () => {
    const app = await withOld({}, old('a', 1e9));
    await app.clock.advance(10 * MINUTE);
    expect(lettersIn(app)).toEqual(['a']);
    expect(app.messaging.health().deadLetters).not.toHaveProperty('expiry');
  });

  test('end with the application: no timer is left', async () => {
    const app = await withOld({ deadLetters: { maxAge: MINUTE, maxCount: 1 } }, old('a', 1));
    await app.messaging.close();
    const left = app.clock.timerCount;
    await app.clock.advance(10 * MINUTE);
    expect([left, app.clock.timerCount]).toEqual([0, 0]);
  });

  test.each([
    [{ deadLetters: { maxAge: 0 } }, 'deadLetters.maxAge', 'a number from 1'],
    [{ deadLetters: { maxAge: '1d' } }, 'deadLetters.maxAge', 'a number from 1'],
    [{ deadLetters: { maxAge: Infinity } }, 'deadLetters.maxAge', 'a number from 1'],
    [{ deadLetters: { maxCount: -1 } }, 'deadLetters.maxCount', 'a whole number from 0'],
    [{ deadLetters: { maxCount: 1.5 } }, 'deadLetters.maxCount', 'a whole number from 0'],
    [{ deadLetters: { maxage: 5 } }, 'deadLetters.maxage', 'maxAge'],
    [{ deadLetters: { interval: 5 } }, 'deadLetters.interval', 'nothing without'],
  ])('that cannot be meant are refused: %j', (options, option, allowed) => {
    expect(() => resolveOptions(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option, allowed: expect.stringContaining(allowed) }),
    );
  });
});
