import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from '@jest/globals';
import { jsonSerializer } from 'nestjs-messaging';
import { type RepliesOptions, Requester, type RequestOptions } from 'nestjs-messaging/request';
import { ManualClock } from 'nestjs-messaging/testing';
import { NotConnectedError, UnroutableError } from '../../../lib/errors/publish-errors.js';
import { MessagingEvents } from '../../../lib/events/messaging-events.js';
import type { WireMessage } from '../../../lib/message/message.js';
import type { PublishOptions, RouteLike } from '../../../lib/publisher/publish-options.js';
import type { Receipt } from '../../../lib/publisher/receipt.js';
import type { ReplyHandlers, ReplyPath } from '../../../lib/transport/reply-path.js';

const caller = new AsyncLocalStorage<string>();

type Refusal = { code: string; message: string };

/** A requester whose other side is the test. */
function bench({ replies = true, opens = true } = {}) {
  const clock = new ManualClock();
  const events = new MessagingEvents(() => {});
  const sent: { route: RouteLike; body: unknown; options: PublishOptions }[] = [];
  const contexts: unknown[] = [];
  const unexpected: unknown[] = [];
  events.on('reply-unexpected', (one) => unexpected.push(one));
  let handlers!: ReplyHandlers;
  const state: { obstacle: string | undefined; fails: Error | undefined } = { obstacle: undefined, fails: undefined };
  const path: ReplyPath = {
    open: async (given) => {
      handlers = given;
      if (opens) given.opened('here');
    },
    reply: async () => ({ status: 'confirmed' }),
  };
  const requester = new Requester({
    ...{ clock, events, serializer: jsonSerializer, system: 'test', replies: replies ? path : undefined },
    obstacle: () => state.obstacle,
    send: async (route, body, options) => {
      if (state.fails) throw state.fails;
      contexts.push(caller.getStore());
      sent.push({ route, body, options });
      return { id: '1', outcome: 'confirmed' } as Receipt;
    },
  });
  const ask = (options: RequestOptions = {}): Promise<unknown> =>
    requester.request('a', { n: 1 }, options).catch(({ code, message }: Refusal) => ({ code, message }));
  const reply = (correlationId: string | undefined, value: unknown, headers: WireMessage['headers'] = {}): void =>
    handlers.reply({
      ...{ id: 'r', route: 'a', headers, body: Buffer.from(JSON.stringify(value)) },
      properties: { ...(correlationId !== undefined && { correlationId }) },
    });
  const turn = (): Promise<void> => clock.advance(0);
  const idOf = (at: number): string => sent[at].options.correlationId!;
  return { clock, sent, contexts, unexpected, state, requester, ask, reply, turn, idOf, handlers: () => handlers };
}

describe('a requester', () => {
  test('sends a request that is worth nothing later: its ttl is the timeout, nobody there is an error', async () => {
    const { ask, sent, reply, turn, idOf } = bench();
    const asked = ask({ timeout: 500, key: 'k', headers: { tenant: 'blue' } });
    await turn();
    expect(sent).toEqual([
      {
        route: 'a',
        body: { n: 1 },
        options: {
          ...{ key: 'k', headers: { tenant: 'blue' }, ttl: 500, unroutable: 'reject', replyTo: 'here' },
          correlationId: expect.stringMatching(/^[\da-f-]{36}$/),
        },
      },
    ]);
    reply(idOf(0), { ok: true });
    expect(await asked).toEqual({ ok: true });
  });

  test.each([new AbortController(), 'soon', null])('refuses what is no signal by name: %p', async (signal) => {
    const { ask, sent } = bench();
    expect(await ask({ signal: signal as unknown as AbortSignal })).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('«signal»') as unknown,
    });
    expect(sent).toEqual([]);
  });

  test('takes one reply: a second one, one after the timeout, and a forged one are counted and told', async () => {
    const { ask, reply, turn, idOf, clock, requester, unexpected } = bench();
    const first = ask();
    const other = ask({ timeout: 100 });
    await turn();
    reply('forged', 'mine');
    reply(undefined, 'mine');
    reply(idOf(0), 1);
    reply(idOf(0), 2);
    expect(await first).toBe(1);
    await clock.advance(100);
    expect(await other).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    reply(idOf(1), 3);
    expect(requester.unexpected).toEqual({ late: 1, second: 1, unknown: 2 });
    expect(unexpected).toEqual([
      { correlationId: 'forged', reason: 'unknown' },
      { correlationId: undefined, reason: 'unknown' },
      { correlationId: idOf(0), reason: 'second' },
      { correlationId: idOf(1), reason: 'late' },
    ]);
    expect(requester.pending).toBe(0);
  });

  test('has at most 10,000 requests that wait; all end with their connection, and nothing is left of them', async () => {
    const { ask, turn, requester, handlers } = bench();
    const all = Array.from({ length: 10_000 }, () => ask());
    await turn();
    expect(requester.pending).toBe(10_000);
    expect(await ask()).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    handlers().lost('pulled');
    const results = (await Promise.all(all)) as Refusal[];
    expect(new Set(results.map(({ code }) => code))).toEqual(new Set(['REPLY_LOST']));
    expect(results[0].message).toContain('pulled');
    expect(requester.pending).toBe(0);
    expect(await ask()).toMatchObject({ code: 'NOT_CONNECTED' });
    handlers().opened('there');
    void ask();
    await turn();
    expect(requester.pending).toBe(1);
  });

  test('rejects at once without a connection, or waits for it within the timeout', async () => {
    const { ask, sent, state, turn, requester, clock, reply, idOf } = bench();
    state.obstacle = 'nobody is there';
    expect(await ask()).toEqual({ code: 'NOT_CONNECTED', message: 'nobody is there' });
    const waiting = ask({ queue: true, timeout: 1_000 });
    const hopeless = ask({ queue: true, timeout: 10 });
    await clock.advance(10);
    expect(await hopeless).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    expect(sent).toEqual([]);
    state.obstacle = undefined;
    requester.resume();
    await turn();
    expect(sent[0].options.ttl).toBe(990);
    reply(idOf(0), 'late but there');
    expect(await waiting).toBe('late but there');
  });

  test('that waits for a connection is sent in the async context of whoever asked', async () => {
    const { ask, state, turn, requester, contexts } = bench();
    state.obstacle = 'nobody is there';
    void caller.run('asks', () => ask({ queue: true }));
    await turn();
    state.obstacle = undefined;
    caller.run('connects', () => requester.resume());
    await turn();
    expect(contexts).toEqual(['asks']);
  });

  test('tells a request that cannot be sent from one whose fate is not known', async () => {
    const { ask, state } = bench();
    state.fails = new UnroutableError('nobody');
    expect(await ask()).toMatchObject({ code: 'UNROUTABLE' });
    state.fails = new NotConnectedError('it broke while it was under way');
    expect(await ask()).toMatchObject({ code: 'REPLY_LOST' });
  });

  test('rejects at once where replies cannot be received, and where the broker has none', async () => {
    expect(await bench({ opens: false }).ask()).toMatchObject({ code: 'NOT_CONNECTED' });
    expect(await bench({ replies: false }).ask()).toMatchObject({ code: 'UNSUPPORTED' });
  });

  test('rejects with what a signal says, before and after it was sent', async () => {
    const { requester, turn } = bench();
    const given = new AbortController();
    const asked = requester.request('a', {}, { signal: given.signal });
    await turn();
    given.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    await expect(requester.request('a', {}, { signal: given.signal })).rejects.toThrow('enough');
  });

  test('takes an error for one however it is written, and shows no password of it', async () => {
    const { ask, reply, turn, idOf } = bench();
    const results = [ask(), ask(), ask()];
    await turn();
    reply(idOf(0), { code: 'NO', message: 'see amqp://u:secret@h', retryable: true }, { 'messaging-error': 1 });
    reply(idOf(1), 'nonsense', { 'messaging-error': '1' });
    reply(idOf(2), { code: 5, message: null }, { 'messaging-error': 1 });
    expect(await Promise.all(results)).toEqual([
      { code: 'NO', message: 'see amqp://***@h' },
      { code: 'HANDLER_FAILED', message: 'The responder answered with an error' },
      { code: 'HANDLER_FAILED', message: 'The responder answered with an error' },
    ]);
  });

  test('refuses options that are none', async () => {
    const { ask } = bench();
    for (const options of [{ timeout: 0 }, { timeout: NaN }, { queue: 1 }, { tiemout: 5 }])
      expect(await ask(options as unknown as RequestOptions)).toMatchObject({ code: 'INVALID_OPTION' });
  });

  test('ends all that wait when it is closed', async () => {
    const { ask, state, requester } = bench();
    const sent = ask();
    state.obstacle = 'nobody is there';
    const waiting = ask({ queue: true });
    requester.close();
    expect(await sent).toMatchObject({ code: 'REPLY_LOST' });
    expect(await waiting).toMatchObject({ code: 'REPLY_LOST' });
    expect(await ask()).toMatchObject({ code: 'PUBLISHER_CLOSED' });
  });
});

describe('replies of several responders', () => {
  type Result = PromiseSettledResult<unknown>;

  function gathering(options: RepliesOptions = {}) {
    const { requester, ...rest } = bench();
    const results: Result[] = [];
    const ended = (async (): Promise<unknown> => {
      for await (const result of requester.replies('a', {}, options)) results.push(result);
      return 'ended';
    })().catch(({ code, message }: Refusal) => ({ code, message }));
    return { ...rest, requester, results, ended };
  }

  test('come as they are, answers and errors, until the timeout that they share is over; what comes then is late', async () => {
    const { clock, turn, reply, idOf, sent, results, ended, requester } = gathering({ timeout: 100 });
    await turn();
    expect(sent[0].options).toMatchObject({ ttl: 100, unroutable: 'reject' });
    await clock.advance(60);
    reply(idOf(0), 1, { 'messaging-responder': 'a' });
    reply(idOf(0), { code: 'GONE', message: 'gone' }, { 'messaging-responder': 'b', 'messaging-error': 1 });
    // Of others nobody says who they are.
    reply(idOf(0), 2);
    reply(idOf(0), 2);
    await turn();
    expect(results).toMatchObject([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { code: 'GONE' } },
      { status: 'fulfilled', value: 2 },
      { status: 'fulfilled', value: 2 },
    ]);
    await clock.advance(39);
    expect(requester.pending).toBe(1);
    await clock.advance(1);
    expect(await ended).toBe('ended');
    reply(idOf(0), 3);
    expect(requester.unexpected).toEqual({ late: 1, second: 0, unknown: 0 });
  });

  test('are one of each responder: its second one, after it died before its ack, is counted', async () => {
    const { turn, reply, idOf, results, ended, requester, unexpected } = gathering({ max: 2 });
    await turn();
    reply(idOf(0), 1, { 'messaging-responder': 'a' });
    reply(idOf(0), 2, { 'messaging-responder': 'a' });
    expect(requester.unexpected.second).toBe(1);
    reply(idOf(0), 3, { 'messaging-responder': 'b' });
    expect(await ended).toBe('ended');
    expect(results.map((result) => (result as { value?: unknown }).value)).toEqual([1, 3]);
    expect(requester.pending).toBe(0);
    reply(idOf(0), 4, { 'messaging-responder': 'c' });
    expect(unexpected).toEqual([idOf(0), idOf(0)].map((correlationId) => ({ correlationId, reason: 'second' })));
  });

  test('that came before the connection is lost are given before the error', async () => {
    const { turn, reply, idOf, results, ended, handlers } = gathering();
    await turn();
    reply(idOf(0), 1);
    handlers().lost('pulled');
    expect(await ended).toMatchObject({ code: 'REPLY_LOST' });
    expect(results).toEqual([{ status: 'fulfilled', value: 1 }]);
  });

  test('are asked for when the iteration begins, and given up with it', async () => {
    const { requester, sent, turn, reply, idOf } = bench();
    const replies = requester.replies('a', {});
    await turn();
    expect(sent).toEqual([]);
    const first = replies.next();
    await turn();
    reply(idOf(0), 1);
    expect(await first).toEqual({ done: false, value: { status: 'fulfilled', value: 1 } });
    expect(requester.pending).toBe(1);
    await replies.return();
    expect(requester.pending).toBe(0);
    reply(idOf(0), 2);
    expect(requester.unexpected.late).toBe(1);
  });

  test('that their schema refuses are errors, and the others are given', async () => {
    const { requester, turn, reply, idOf } = bench();
    const route = { route: 'a', reply: evenSchema } as unknown as string;
    const replies = requester.replies(route, {}, { max: 2 });
    const first = replies.next();
    await turn();
    reply(idOf(0), 1);
    reply(idOf(0), 2);
    expect(await first).toMatchObject({ value: { status: 'rejected', reason: { code: 'INVALID_PAYLOAD' } } });
    expect(await replies.next()).toMatchObject({ value: { status: 'fulfilled', value: 2 } });
    expect(await replies.next()).toEqual({ done: true, value: undefined });
  });

  test.each([0, 10_001, 1.5, '2'])('refuses %p as the number of them', async (max) => {
    const { ended, sent } = gathering({ max: max as number });
    expect(await ended).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('«max»') as unknown,
    });
    expect(sent).toEqual([]);
  });

  test('reject, where there can be none, as a request does', async () => {
    const { requester, state } = bench();
    const code = (): Promise<unknown> =>
      requester
        .replies('a', {})
        .next()
        .catch((error: Refusal) => error.code);
    state.fails = new UnroutableError('nobody');
    expect(await code()).toBe('UNROUTABLE');
    state.obstacle = 'no connection';
    expect(await code()).toBe('NOT_CONNECTED');
    expect(requester.pending).toBe(0);
  });
});

const evenSchema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value: unknown) => ((value as number) % 2 === 0 ? { value } : { issues: [{ message: 'odd' }] }),
  },
};
