import { describe, expect, test } from '@jest/globals';
import type { DeadLetterSelection } from '../../../lib/dead-letter/dead-letter-selection.js';
import type { RedriveOptions, RedriveProgress, RedriveResult } from '../../../lib/dead-letter/redrive-options.js';
import { NotConnectedError } from '../../../lib/errors/publish-errors.js';
import { integerHeader } from '../../../lib/message/headers.js';
import type { Application } from '../support/application.js';
import { DLQ, letter, lettersIn, withLetters } from '../support/dead-letters.js';
import { confirmed, failed, unroutable } from '../support/fake-transport.js';

const QUEUE = 'orders:order.created:queue';

async function withMany(count: number): Promise<Application> {
  const app = await withLetters(...Array.from({ length: count }, (_, at) => letter(`m${at}`)));
  app.transport.answer = () => confirmed;
  return app;
}

/** A redrive under way, with what it told. */
class Running {
  readonly told: RedriveProgress[] = [];
  readonly result: Promise<RedriveResult>;
  ended = false;

  constructor(
    readonly app: Application,
    options: RedriveOptions,
    selection?: DeadLetterSelection,
  ) {
    const onProgress = (progress: RedriveProgress): void => void this.told.push(progress);
    this.result = app.messaging.deadLetters.redrive(selection, { onProgress, ...options });
    this.result.then(
      () => (this.ended = true),
      () => (this.ended = true),
    );
  }
}

const attempts = (app: Application): (number | undefined)[] =>
  app.transport.published.map(({ message }) => integerHeader(message.headers, 'messaging-attempt', 0, 1_000));

describe('a redrive', () => {
  test('with dryRun counts what it would send, and sends nothing', async () => {
    const app = await withMany(120);
    const { deadLetters } = app.messaging;
    const ids = ['m3', 'm70'];
    expect(await deadLetters.redrive({ ids }, { dryRun: true })).toMatchObject({ done: 0, matched: 2, examined: 120 });
    expect(await deadLetters.redrive({}, { dryRun: true, limit: 7 })).toMatchObject({ matched: 7, stopped: 'limit' });
    expect(app.transport.published).toEqual([]);
    expect(lettersIn(app)).toHaveLength(120);
  });

  test('sends in batches of 25 in their order, and tells after each how far it is', async () => {
    const app = await withMany(120);
    const running = new Running(app, {});
    expect(await running.result).toMatchObject({ done: 120, examined: 120, matched: 120, failed: [] });
    expect(app.transport.batches.map(({ length }) => length)).toEqual([25, 25, 25, 25, 20]);
    expect(app.transport.publishedIds).toEqual(Array.from({ length: 120 }, (_, at) => `m${at}`));
    expect(running.told.map(({ done, examined, total }) => [done, examined, total])).toEqual([
      [25, 25, 120],
      [50, 50, 120],
      [75, 75, 120],
      [100, 100, 120],
      [120, 120, 120],
      [120, 120, 120],
    ]);
  });

  test('takes out of the queue nothing before its copy is confirmed', async () => {
    const app = await withMany(3);
    app.transport.answer = () => undefined;
    const running = new Running(app, {});
    await app.turn();
    app.transport.settle(confirmed, 'm1');
    await app.turn();
    expect(lettersIn(app)).toHaveLength(3);
    app.transport.settle(failed(), 'm0');
    app.transport.settle(confirmed, 'm2');
    expect(await running.result).toMatchObject({ done: 2, failed: [{ id: 'm0' }] });
    expect(lettersIn(app)).toEqual(['m0']);
  });

  test('with limit sends no more', async () => {
    const app = await withMany(120);
    expect(await app.messaging.deadLetters.redrive({}, { limit: 60 })).toMatchObject({ done: 60, stopped: 'limit' });
    expect(lettersIn(app)).toHaveLength(60);
    expect(await app.messaging.deadLetters.redrive({}, { limit: 61 })).not.toHaveProperty('stopped');
  });

  test('with rateLimit sends no more in any second', async () => {
    const app = await withMany(100);
    const running = new Running(app, { rateLimit: 20 });
    const sent: number[] = [];
    for (let second = 0; second < 4; second++) {
      await app.clock.advance(999);
      sent.push(app.transport.published.length);
      await app.clock.advance(1);
    }
    expect(sent).toEqual([20, 40, 60, 80]);
    await app.clock.advance(1_000);
    expect(await running.result).toMatchObject({ done: 100 });
  });

  test.each([0.5, 3])('with a rateLimit of %d sends one at a time', async (rateLimit) => {
    const app = await withMany(4);
    const running = new Running(app, { rateLimit });
    await app.clock.advance(0);
    expect(app.transport.published).toHaveLength(1);
    await app.clock.advance(3_000 / rateLimit);
    expect(await running.result).toMatchObject({ done: 4 });
    expect(app.transport.batches.every(({ length }) => length === 1)).toBe(true);
  });

  test('that is aborted ends after the batch under way, and the same call goes on', async () => {
    const app = await withMany(120);
    const controller = new AbortController();
    const stopping = new Running(app, { signal: controller.signal, onProgress: () => controller.abort() });
    expect(await stopping.result).toMatchObject({ done: 25, stopped: 'aborted' });
    expect(lettersIn(app)).toHaveLength(95);
    expect(await app.messaging.deadLetters.redrive()).toMatchObject({ done: 95 });
    expect(new Set(app.transport.publishedIds).size).toBe(120);
  });

  test('that is aborted while it waits for its rate ends at once', async () => {
    const app = await withMany(3);
    const controller = new AbortController();
    const running = new Running(app, { rateLimit: 0.001, signal: controller.signal });
    await app.turn();
    controller.abort();
    expect(await running.result).toMatchObject({ done: 1, stopped: 'aborted' });
    expect(app.clock.pending).toBe(0);
  });

  test('stops when more than maxFailureRate of at least 20 is not confirmed', async () => {
    const app = await withMany(500);
    let sent = 0;
    app.transport.answer = () => (++sent % 4 === 0 ? unroutable() : confirmed);
    const patient = await app.messaging.deadLetters.redrive({ ids: ['m0', 'm1', 'm2', 'm3'] }, { maxFailureRate: 0.2 });
    expect(patient).toMatchObject({ done: 3, failed: [{ id: 'm3' }] });
    expect(patient).not.toHaveProperty('stopped');
    expect(await app.messaging.deadLetters.redrive({}, { maxFailureRate: 0.2 })).toMatchObject({
      done: 19,
      stopped: 'failure-rate',
    });
    expect(lettersIn(app)).toHaveLength(500 - 3 - 19);
  });

  test('stops when too much comes to the dead letters meanwhile', async () => {
    const app = await withMany(500);
    let back = 0;
    app.transport.answer = ({ message }) => {
      if (++back % 2) app.transport.stored.get(DLQ)!.push(letter(message.id));
      return confirmed;
    };
    expect(await app.messaging.deadLetters.redrive({}, { maxFailureRate: 0.4 })).toMatchObject({
      done: 25,
      arrived: 13,
      stopped: 'failure-rate',
    });
  });

  test('ends at 1,000 failures, so that what it tells is bounded', async () => {
    const app = await withMany(1_200);
    app.transport.answer = () => unroutable();
    const result = await app.messaging.deadLetters.redrive();
    expect(result).toMatchObject({ done: 0, stopped: 'failure-rate' });
    expect(result.failed).toHaveLength(1_000);
  });

  test('whose connection is lost rejects with what is done; the rest is kept, and the same call goes on', async () => {
    const app = await withMany(120);
    let sent = 0;
    const gone = { status: 'failed', error: new NotConnectedError('gone') } as const;
    app.transport.answer = () => (++sent <= 60 ? confirmed : gone);
    await expect(app.messaging.deadLetters.redrive()).rejects.toMatchObject({
      code: 'REDRIVE_INTERRUPTED',
      retryable: true,
      message: expect.stringMatching(/^60 dead letters were redriven, then: gone\. .* the same call goes on$/),
      result: { done: 60, failed: [] },
    });
    expect(lettersIn(app)).toHaveLength(60);
    app.transport.answer = () => confirmed;
    expect(await app.messaging.deadLetters.redrive()).toMatchObject({ done: 60 });
  });

  test.each<[RedriveOptions, string]>([
    [{ rate: 1 } as RedriveOptions, 'there are: dryRun, limit'],
    [{ dryRun: true, canary: true }, 'a dry run sends nothing'],
    [{ canary: { stages: [] } }, 'such as [1, 10]'],
    [{ canary: { stages: [0] } }, 'from 1 to 1000'],
    [{ canary: { window: 0 } }, 'from 1 to'],
    [{ limit: 0 }, 'from 1 to'],
    [{ rateLimit: 0 }, 'from 0.001 to'],
    [{ maxFailureRate: 2 }, 'from 0 to 1'],
    [{ onProgress: 1 } as unknown as RedriveOptions, 'a function'],
    [{ signal: {} } as unknown as RedriveOptions, 'an AbortSignal'],
  ])('refuses options that cannot be meant, with what is allowed: %j', async (options, allowed) => {
    const app = await withMany(1);
    await expect(app.messaging.deadLetters.redrive({}, options)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      allowed: expect.stringContaining(allowed),
    });
    expect(app.transport.published).toEqual([]);
  });
});

describe('the canaries of a redrive', () => {
  test('are sent as their last attempt, stage by stage, each after the window of the one before; then the rest', async () => {
    const app = await withMany(30);
    const running = new Running(app, { canary: { stages: [1, 10], window: 5_000 } });
    await app.turn();
    expect(app.transport.published).toHaveLength(1);
    expect(running.told.at(-1)).toMatchObject({ done: 1, waiting: true });
    await app.clock.advance(4_999);
    expect(app.transport.published).toHaveLength(1);
    await app.clock.advance(1);
    expect(app.transport.published).toHaveLength(11);
    await app.clock.advance(5_000);
    const { canaries, ...result } = await running.result;
    expect(result).toMatchObject({ done: 30, examined: 30, matched: 30 });
    expect(result).not.toHaveProperty('stopped');
    expect(canaries).toEqual(Array.from({ length: 11 }, (_, at) => ({ id: `m${at}`, fate: 'quiet' })));
    expect(attempts(app)).toEqual([...Array<number>(11).fill(8), ...Array<number>(19).fill(1)]);
    expect(app.clock.pending).toBe(0);
  });

  test('stop it when one is in the dead letters again; what was not sent is kept', async () => {
    const app = await withMany(30);
    app.transport.answer = ({ message }) => {
      if (message.id === 'm4') app.transport.stored.get(DLQ)!.push(letter('m4'));
      return confirmed;
    };
    const running = new Running(app, { canary: true });
    await app.clock.advance(20_000);
    const result = await running.result;
    expect(result).toMatchObject({ done: 11, stopped: 'canary' });
    expect(result.canaries!.filter(({ fate }) => fate === 'returned')).toEqual([{ id: 'm4', fate: 'returned' }]);
    expect(lettersIn(app)).toHaveLength(30 - 11 + 1);
  });

  test('are not taken for returned by dead letters of other messages', async () => {
    const app = await withMany(3);
    app.transport.answer = () => {
      app.transport.stored.get(DLQ)!.push(letter(`new-${app.transport.published.length}`));
      return confirmed;
    };
    const running = new Running(app, { canary: { stages: [2], window: 10 } });
    await app.clock.advance(10);
    expect(await running.result).toMatchObject({ done: 3, canaries: [{ fate: 'quiet' }, { fate: 'quiet' }] });
  });

  test('that a handler of this process has handled need no window; one that it fails on stops at once', async () => {
    const app = await withMany(3);
    const [subscription] = app.transport.subscriptions;
    const running = new Running(app, { canary: { stages: [1, 1], window: 60_000 } });
    await app.turn();
    subscription.deliver({ id: 'm0', queue: 'elsewhere:queue' });
    await app.turn();
    expect(app.transport.published).toHaveLength(1);
    subscription.deliver({ id: 'm0', queue: QUEUE });
    await app.turn();
    expect(app.transport.published).toHaveLength(2);
    subscription.deliver({ id: 'm1', queue: QUEUE, body: 'not JSON' });
    await app.turn();
    app.transport.settleAll(confirmed);
    expect(await running.result).toMatchObject({
      done: 2,
      stopped: 'canary',
      canaries: [
        { id: 'm0', fate: 'handled' },
        { id: 'm1', fate: 'failed' },
      ],
    });
    expect(app.clock.pending).toBe(0);
  });

  test('are judged, too, when there is no rest', async () => {
    const app = await withMany(2);
    app.transport.answer = ({ message }) => {
      app.transport.stored.get(DLQ)!.push(letter(message.id));
      return confirmed;
    };
    const running = new Running(app, { canary: { stages: [10], window: 10 } });
    await app.clock.advance(10);
    expect(await running.result).toMatchObject({ done: 2, stopped: 'canary' });
  });

  test('that were not confirmed are replaced by others', async () => {
    const app = await withMany(4);
    app.transport.answer = ({ message }) => (message.id === 'm0' ? unroutable() : confirmed);
    const running = new Running(app, { canary: { stages: [2], window: 10 } });
    await app.clock.advance(10);
    expect(await running.result).toMatchObject({
      done: 3,
      failed: [{ id: 'm0' }],
      canaries: [{ id: 'm1' }, { id: 'm2' }],
    });
  });

  test('have an id: foreign messages without one are sent with the rest, also when there is none', async () => {
    const app = await withLetters(letter(''), letter('a'), letter(''));
    app.transport.answer = () => confirmed;
    const running = new Running(app, { canary: { stages: [1, 10], window: 10 } });
    await app.clock.advance(20);
    expect(await running.result).toMatchObject({ done: 3, examined: 3, canaries: [{ id: 'a', fate: 'quiet' }] });
    expect(app.transport.publishedIds).toEqual(['a', '', '']);
  });

  test('are told without a verdict when it is aborted meanwhile', async () => {
    const app = await withMany(3);
    const controller = new AbortController();
    const running = new Running(app, { canary: true, signal: controller.signal });
    await app.turn();
    controller.abort();
    expect(await running.result).toMatchObject({ done: 1, stopped: 'aborted', canaries: [{ id: 'm0', fate: 'sent' }] });
    expect(app.clock.pending).toBe(0);
  });

  test('may be of the publisher’s own', async () => {
    const app = await withLetters();
    app.transport.disconnected();
    for (const id of ['a', 'b', 'c']) app.publish('order.created', 1, { id, ttl: 10 });
    await app.clock.advance(1_000);
    app.transport.connected();
    app.transport.answer = () => confirmed;
    const running = new Running(app, { canary: { stages: [1], window: 10 } });
    await app.turn();
    expect(app.transport.published).toHaveLength(1);
    await app.clock.advance(10);
    expect(await running.result).toMatchObject({ done: 3, examined: 3, canaries: [{ id: 'a', fate: 'quiet' }] });
    expect(await app.messaging.deadLetters.count()).toBe(0);
  });
});
