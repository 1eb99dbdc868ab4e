import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from '@jest/globals';
import { jsonSerializer } from 'nestjs-messaging';
import { Requester, type RequestOptions } from 'nestjs-messaging/request';
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
