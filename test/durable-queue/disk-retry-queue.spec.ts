import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { diskRetryQueue, exponential } from 'nestjs-messaging';
import type { MessagingModuleOptions, RetryQueueOptions } from '../../lib/messaging.options.js';
import { type Application, start } from '../unit/support/application.js';
import { FakeTransport, confirmed, failed, refused, unroutable } from '../unit/support/fake-transport.js';
import { temporaryDirectory } from './support/queue.js';

function options(directory: string, retryQueue: RetryQueueOptions = {}): MessagingModuleOptions {
  return { retryQueue: { store: diskRetryQueue({ directory }), ...retryQueue } };
}

async function startOn(
  directory: string,
  retryQueue?: RetryQueueOptions,
  transport?: FakeTransport,
): Promise<Application> {
  return start(options(directory, retryQueue), transport);
}

async function close(app: Application): Promise<void> {
  const closing = app.messaging.close();
  await app.clock.advance(20_000);
  await closing;
}

describe('a publish that is queued on disk', () => {
  test('is told «disk» and is sent when the broker is back', async () => {
    const app = await startOn(temporaryDirectory());
    app.transport.disconnected();
    const one = app.publish('order.created', { n: 1 }, { id: 'a' });
    expect(one.state).toBe('pending');
    await app.turn();
    expect(one).toMatchObject({ state: 'queued', receipt: { stored: 'disk' } });
    app.transport.connected();
    app.transport.settle(confirmed, 'a');
    await app.turn();
    expect(one.settled).toBe('confirmed');
    expect(app.retryQueue).toMatchObject({ depth: 0, bytes: 0, adopted: 0, quarantined: 0, healthy: true });
    await close(app);
  });

  test('stays on disk at a shutdown, which neither waits for it nor calls it lost, and the next process sends it', async () => {
    const directory = temporaryDirectory();
    const first = await startOn(directory);
    first.transport.disconnected();
    const one = first.publish('order.created', { n: 1 }, { id: 'a', key: 'k', headers: { tenant: Buffer.from('x') } });
    await first.turn();
    let closed = false;
    void first.messaging.close().then(() => (closed = true));
    await first.turn();
    expect(closed).toBe(true);
    expect(one.settled).toBeUndefined();
    expect(first.logged('error')).toEqual([]);
    expect(first.logged('log').join()).toContain('1 messages are kept on disk');

    const second = await startOn(directory);
    expect(second.transport.publishedIds).toEqual(['a']);
    const [{ message, to }] = second.transport.published;
    expect(message).toEqual(first.transport.published[0]?.message ?? message);
    expect(to).toEqual({ kind: 'route', route: 'order.created' });
    expect(message.headers).toMatchObject({ tenant: Buffer.from('x'), 'messaging-key': 'k' });
    second.transport.settle(confirmed);
    await close(second);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('under way at the end of a shutdown goes to the disk too, because nobody knows whether it arrived', async () => {
    const directory = temporaryDirectory();
    const app = await startOn(directory);
    const one = app.publish('order.created', {}, { id: 'a' });
    await close(app);
    expect(one).toMatchObject({ state: 'queued', receipt: { stored: 'disk' } });
    const next = await startOn(directory);
    expect(next.transport.publishedIds).toEqual(['a']);
    next.transport.settle(confirmed);
    await close(next);
  });

  test('is recognised as a resend by a broker that de-duplicates, whichever process sends it', async () => {
    const directory = temporaryDirectory();
    const first = await startOn(directory);
    first.transport.answer = () => failed('the answer was lost');
    for (const v of [1, 2]) first.publish('order.created', { v }, { id: 'same' });
    await first.turn();
    await close(first);
    const second = await startOn(directory);
    const sent = (app: Application): (readonly [string, string])[] =>
      app.transport.published.map(({ message, dedupeId }) => [message.body.toString(), dedupeId]);
    expect(sent(second)).toEqual(sent(first).slice(0, 2));
    expect(new Set(sent(second).map(([, dedupeId]) => dedupeId)).size).toBe(2);
    second.transport.settle(confirmed);
    await close(second);
  });

  test('keeps the order of its key across processes, and new ones do not overtake it', async () => {
    const directory = temporaryDirectory();
    const first = await startOn(directory);
    first.transport.disconnected();
    for (const id of ['a', 'b']) first.publish('order.created', {}, { id, key: 'k' });
    await first.turn();
    await close(first);
    const second = await startOn(directory);
    second.publish('order.created', {}, { id: 'c', key: 'k' });
    second.transport.answer = () => confirmed;
    second.transport.settle(confirmed, 'a');
    await second.clock.advance(1_000);
    expect(second.transport.publishedIds).toEqual(['a', 'b', 'c']);
    await close(second);
  });

  test('has its final result also when that is asked for late', async () => {
    const app = await startOn(temporaryDirectory());
    app.transport.disconnected();
    const receipts = ['sent', 'refused', 'waits'].map((id) => app.publisher.publish('order.created', {}, { id }));
    await app.turn();
    app.transport.connected();
    app.transport.settle(confirmed, 'sent');
    app.transport.settle(refused(), 'refused');
    await app.turn();
    const [sent, rejected, waits] = await Promise.all(receipts);
    expect(await sent.settled).toEqual({ id: 'sent', outcome: 'confirmed' });
    expect(await rejected.settled).toMatchObject({ outcome: 'rejected', error: { code: 'PUBLISH_REFUSED' } });
    let settled = false;
    void waits.settled.then(() => (settled = true));
    await app.turn();
    expect(settled).toBe(false);
    app.transport.settle(confirmed, 'waits');
    await app.turn();
    expect(settled).toBe(true);
    await close(app);
  });

  test('that cannot be sent is a dead letter that outlives the process and can be redriven', async () => {
    const directory = temporaryDirectory();
    const first = await startOn(directory);
    first.transport.disconnected();
    first.publish('order.created', { n: 1 }, { id: 'a' });
    await first.turn();
    first.transport.connected();
    first.transport.settle(refused('not like this'));
    await close(first);

    const second = await startOn(directory);
    expect(second.messaging.health()).toMatchObject({ status: 'degraded', deadLetters: { publisher: 1 } });
    const [letter] = await second.messaging.deadLetters.list();
    expect(letter).toMatchObject({
      id: 'a',
      reason: 'unsendable',
      error: { code: 'PUBLISH_REFUSED', message: 'not like this' },
    });
    second.transport.answer = () => confirmed;
    expect(await second.messaging.deadLetters.redrive({ ids: ['a'] })).toMatchObject({ done: 1, failed: [] });
    expect(second.transport.last.message.body).toEqual(Buffer.from('{"n":1}'));
    expect(second.messaging.health().deadLetters.publisher).toBe(0);
    await close(second);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('costs no attempt during an outage, and is given up after so many failed sends', async () => {
    const app = await startOn(temporaryDirectory());
    const one = app.publish('order.created', {}, { id: 'a', attempts: 3, backoff: 200 });
    app.transport.settle(failed());
    await app.turn();
    await app.clock.advance(199);
    expect(app.transport.published).toHaveLength(1);
    await app.clock.advance(1);
    expect(app.transport.published).toHaveLength(2);
    app.transport.disconnected();
    await app.clock.advance(60_000);
    app.transport.connected();
    expect(app.transport.published).toHaveLength(3);
    app.transport.settle(failed());
    await app.clock.advance(200);
    app.transport.settle(failed('still not'));
    await app.turn();
    expect(one.settled).toBe('PUBLISH_FAILED');
    const [letter] = await app.messaging.deadLetters.list();
    expect(letter).toMatchObject({ id: 'a', reason: 'attempts-exhausted', error: { message: 'still not' } });
    await close(app);
  });
});

describe.each(['memory', 'disk'] as const)('waiting in the retry queue (%s)', (kind) => {
  const begin = (more: RetryQueueOptions = {}, transport?: FakeTransport): Promise<Application> =>
    kind === 'disk' ? startOn(temporaryDirectory(), more, transport) : start({ retryQueue: more }, transport);

  test('a delayed publish is sent when it is due, to the millisecond, where the broker cannot delay', async () => {
    const app = await begin({}, new FakeTransport({ maxDelayMs: 0 }));
    const one = app.publish('order.created', {}, { id: 'a', delay: 1_234, key: 'k' });
    const now = app.publish('order.created', {}, { id: 'b', key: 'k' });
    await app.turn();
    expect(one).toMatchObject({ state: 'queued', receipt: { stored: kind } });
    expect(app.transport.publishedIds).toEqual(['b']);
    app.transport.settle(confirmed);
    await app.clock.advance(1_233);
    expect(app.transport.publishedIds).toEqual(['b']);
    expect(now.state).toBe('confirmed');
    await app.clock.advance(1);
    expect(app.transport.publishedIds).toEqual(['b', 'a']);
    expect(app.transport.last.dueAt).toBeUndefined();
    app.transport.settle(confirmed);
    await app.turn();
    expect(one.settled).toBe('confirmed');
    expect(app.clock.pending).toBe(0);
    await close(app);
  });

  test('costs nothing until it is due: one timer, and no pass', async () => {
    const app = await begin({ delayed: true });
    app.publish('order.created', {}, { delay: 3_600_000 });
    await app.turn();
    expect(app.clock.pending).toBe(1);
    await app.clock.advance(1_000_000);
    expect(app.clock.pending).toBe(1);
    await close(app);
  });

  test('can be cancelled until it is sent', async () => {
    const app = await begin({ delayed: true });
    const one = app.publish('order.created', {}, { id: 'a', delay: 500 });
    await app.turn();
    expect(await app.publisher.cancel('b')).toBe(false);
    expect(await app.publisher.cancel('a')).toBe(true);
    expect(await app.publisher.cancel('a')).toBe(false);
    await app.clock.advance(1_000);
    expect(app.transport.batches).toEqual([]);
    expect(one.settled).toBe('PUBLISH_CANCELLED');
    expect(app.retryQueue).toMatchObject({ depth: 0, bytes: 0 });
    expect(app.clock.pending).toBe(0);
    await close(app);
  });

  test('one that no queue takes when it is due stays, and health says so', async () => {
    const app = await begin({ delayed: true });
    const one = app.publish('order.created', {}, { id: 'a', delay: 500 });
    await app.clock.advance(500);
    for (let pass = 0; pass < 5; pass++) {
      app.transport.settle(unroutable());
      await app.clock.advance(1_000);
    }
    expect(app.messaging.health()).toMatchObject({ status: 'degraded', undeliverable: 1, retryQueue: { depth: 1 } });
    app.transport.settle(confirmed);
    await app.turn();
    expect(one.settled).toBe('confirmed');
    expect(app.messaging.health().undeliverable).toBeUndefined();
    await close(app);
  });

  test('goes by priority', async () => {
    const app = await begin();
    app.transport.disconnected();
    for (const [id, retryQueuePriority] of [
      ['low', 0],
      ['high', 9],
      ['middle', 5],
    ] as const)
      app.publish('order.created', {}, { id, retryQueuePriority });
    await app.turn();
    app.transport.connected();
    expect(app.transport.publishedIds).toEqual(['high', 'middle', 'low']);
    app.transport.settleAll(confirmed);
    await close(app);
  });

  test('a failed send waits for its own backoff, without holding back others', async () => {
    const app = await begin();
    const backoff = exponential({ initial: 3_000, factor: 2, jitter: 0 });
    app.publish('order.created', {}, { id: 'slow', backoff });
    app.publish('order.created', {}, { id: 'plain' });
    app.transport.settleAll(failed());
    await app.clock.advance(1_000);
    expect(app.transport.pendingIds).toEqual(['plain']);
    await app.clock.advance(2_000);
    expect(app.transport.pendingIds).toEqual(['plain', 'slow']);
    app.transport.settleAll(confirmed);
    await close(app);
  });

  test('a clock that is set back or forth makes nothing early, late or expired', async () => {
    const app = await begin({ delayed: true });
    app.transport.disconnected();
    const wall = app.clock.now.bind(app.clock);
    const kept = app.publish('order.created', {}, { id: 'kept', ttl: 60_000 });
    app.publish('order.created', {}, { id: 'delayed', delay: 30_000 });
    await app.turn();
    app.transport.connected();
    app.transport.settle(failed(), 'kept');
    app.clock.now = () => wall() + 86_400_000;
    await app.clock.advance(10_000);
    expect(app.transport.publishedIds).not.toContain('delayed');
    expect(kept.settled).toBeUndefined();
    app.clock.now = () => wall() - 86_400_000;
    await app.clock.advance(19_999);
    expect(app.transport.publishedIds).not.toContain('delayed');
    await app.clock.advance(1);
    expect(app.transport.publishedIds).toContain('delayed');
    app.transport.settleAll(confirmed);
    await app.turn();
    expect(app.retryQueue.depth).toBe(0);
    await close(app);
  });

  test.each([
    ['attempts', { attempts: 0 }],
    ['retryQueuePriority', { retryQueuePriority: 10 }],
    ['priority', { priority: 256 }],
    ['backoff', { backoff: () => 5 }],
  ])('%s are checked', async (option, given) => {
    const app = await begin();
    const one = app.publish('order.created', {}, given);
    await app.turn();
    expect(one.error).toMatchObject({ code: 'INVALID_OPTION', option });
    await close(app);
  });
});

describe('the directory', () => {
  test('is made for its owner only, with everything in it', async () => {
    const directory = join(temporaryDirectory(), 'deep', 'er');
    const app = await startOn(directory);
    app.transport.disconnected();
    app.publish('order.created', {});
    await app.turn();
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect(mode(directory)).toBe('700');
    const found = readdirSync(directory);
    expect(found.length).toBeGreaterThanOrEqual(4);
    expect(found.map((name) => mode(join(directory, name)))).toEqual(found.map(() => '600'));
    await close(app);
  });

  test('that everybody can write to is refused at boot', async () => {
    const directory = join(temporaryDirectory(), 'open');
    mkdirSync(directory);
    const { chmodSync } = await import('node:fs');
    chmodSync(directory, 0o777);
    await expect(startOn(directory)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      option: 'diskRetryQueue.directory',
    });
  });

  test.each([
    [{}],
    [{ directory: '' }],
    [{ directory: 'x', nonsense: 1 }],
    [{ directory: 'x', adoptInterval: 0 }],
    [{ directory: 'x', adopt: [''] }],
  ])('and its options are checked: %p', (given) => {
    expect(() => diskRetryQueue(given as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});
