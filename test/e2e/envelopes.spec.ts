import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DeadLetters,
  fixed,
  jsonSerializer,
  memoryIdempotencyStore,
  type MessageContext,
  MessagingModule,
  type MessagingModuleOptions,
  partitioned,
  Publisher,
  Subscribe,
} from 'nestjs-messaging';
import { Decoded, json, nestEnvelope, type Serializer } from 'nestjs-messaging/serializers';
import { type Application, boot, closeApplications, event, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

/** All of it is in the body, and half of it again in headers. */
const sealed: Serializer = {
  serialize: (data, { id, route, key, time, replyTo }) => ({
    body: Buffer.from(JSON.stringify({ data, id, route, key, time, replyTo })),
    contentType: 'application/sealed',
    headers: { 'sealed-id': id, 'sealed-list': ['a', 1] },
  }),
  deserialize(body, _, { headers }) {
    const { data, id, route, key, time, replyTo } = JSON.parse(body.toString()) as Record<string, string>;
    if (headers['sealed-id'] === undefined) throw new Error('the seal is missing');
    const own = { id: `sealed ${id}`, route: `sealed.${route}`, time: Number(time), correlationId: 'sealed', replyTo };
    return new Decoded(data, { ...own, key, headers: { inside: true }, sameAs: String(data) });
  },
};

/** What a call was told of its message. */
function toldTo(payload: unknown, context: MessageContext): object {
  const { id, route, key, correlationId, replyTo, headers, attempt } = context;
  return { payload, id, route, key, correlationId, replyTo, inside: headers.inside, attempt };
}

describeAllBrokers('A body that says more than its payload', (fresh) => {
  async function application(
    options: MessagingModuleOptions,
    handler: new () => unknown,
    transportFactory?: Awaited<ReturnType<typeof fresh>>,
  ): Promise<Application> {
    const transport = transportFactory ?? (await fresh());
    return boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport(), ...options })],
      providers: [handler],
    });
  }

  test('is the same, byte by byte and header by header, in a retry, a dead letter and what is redriven', async () => {
    const seen = new Seen<object>();
    const wire = new Seen<{ body: string; list: unknown; sealedId: unknown }>();
    let fails = true;
    @Injectable()
    class Handler {
      @Subscribe('order.created', { retry: { attempts: 2, backoff: fixed(10) } })
      handle(payload: unknown, context: MessageContext): void {
        seen.add(toldTo(payload, context));
        const { body, headers } = context;
        wire.add({ body: body.toString('latin1'), list: headers['sealed-list'], sealedId: headers['sealed-id'] });
        if (fails) throw new Error('failed');
      }
    }
    const { get, messaging } = await application({ serializer: sealed }, Handler);
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', 'büro', { id: 'm-1', key: 'k', replyTo: 'r' });
    await dead;
    const letter = await get(DeadLetters).show('m-1');
    const [first] = wire.all;
    expect(letter).toMatchObject({ id: 'm-1', route: 'order.created', headers: { 'sealed-list': ['a', 1] } });
    expect(letter!.body.toString('latin1')).toBe(first.body);
    fails = false;
    await get(DeadLetters).redrive({ ids: ['m-1'] });
    await seen.until(3);
    const told = {
      ...{ payload: 'büro', id: 'sealed m-1', route: 'sealed.order.created', key: 'k' },
      ...{ correlationId: 'sealed', replyTo: 'r', inside: true },
    };
    expect(seen.all).toEqual([1, 2, 1].map((attempt) => ({ ...told, attempt })));
    expect(wire.all).toEqual([first, first, first]);
    expect(JSON.parse(Buffer.from(first.body, 'latin1').toString())).toMatchObject({ data: 'büro', id: 'm-1' });
  });

  test('has its dead letter, whole, where its serializer cannot read it, with the reason in words', async () => {
    const called = new Seen<unknown>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { serializer: nestEnvelope() })
      handle(payload: unknown): void {
        called.add(payload);
      }
    }
    const { get, messaging } = await application({}, Handler);
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', { pattern: ['a'], data: 1 }, { id: 'm-1' });
    expect(await dead).toMatchObject({ reason: 'undecodable', attempt: 1 });
    const letter = await get(DeadLetters).show('m-1');
    expect(letter).toMatchObject({ reason: 'undecodable' });
    expect(letter!.body.toString()).toBe('{"pattern":["a"],"data":1}');
    expect(letter!.error?.message).toBe(
      'The envelope of Nest has a wrong «pattern», an array; allowed: a text, a number or an object',
    );
    expect(called.all).toEqual([]);
  });

  test('finds its handler by the pattern that it has, where it is sent to a queue by name', async () => {
    const seen = new Seen<readonly [string, unknown, string]>();
    const envelope = nestEnvelope({ allowEmpty: true });
    const queue = { queue: 'theirs', name: 'theirs', bind: false, serializer: envelope } as const;
    @Injectable()
    class Handler {
      @Subscribe({ ...queue, route: 'order.created', handles: 'order.created' })
      created(payload: unknown, { route }: MessageContext): void {
        seen.add(['created', payload, route]);
      }

      @Subscribe({ ...queue, route: 'order.paid', handles: ['order.paid', 'theirs'] })
      paid(payload: unknown, { route }: MessageContext): void {
        seen.add(['paid', payload, route]);
      }
    }
    const { get, messaging } = await application({}, Handler);
    const publisher = get(Publisher);
    const send = (pattern: string): Promise<unknown> =>
      publisher.sendToQueue('theirs', { of: pattern }, { serializer: nestEnvelope({ pattern }) });
    await send('order.created');
    await send('order.paid');
    await publisher.sendToQueue('theirs', { plain: true });
    await publisher.sendToQueue('theirs', undefined, { serializer: json({ allowEmpty: true }) });
    const byName = (await seen.until(4)).map((one) => JSON.stringify(one)).sort();
    expect(byName).toEqual(
      [
        ['created', { of: 'order.created' }, 'order.created'],
        ['paid', { of: 'order.paid' }, 'order.paid'],
        ['paid', { plain: true }, 'theirs'],
        ['paid', undefined, 'theirs'],
      ]
        .map((one) => JSON.stringify(one))
        .sort(),
    );
    const dead = event(messaging, 'dead-lettered');
    await send('order.lost');
    expect(await dead).toMatchObject({ reason: 'no-handler' });
  });

  test('keeps the order of the key that it says, and is one with what it says to be the same as', async () => {
    const seen = new Seen<string>();
    const keyed: Serializer = {
      serialize: jsonSerializer.serialize,
      deserialize: (body, properties) => {
        const { key, at } = jsonSerializer.deserialize(body, properties) as { key: string; at: string };
        return new Decoded(`${key}${at}`, { key, sameAs: `${key}${at}` });
      },
    };
    @Injectable()
    class Handler {
      private running = 0;

      @Subscribe('order.created', {
        serializer: keyed,
        concurrency: partitioned(),
        idempotent: { store: memoryIdempotencyStore() },
        retry: { attempts: 3, backoff: fixed(20) },
      })
      async handle(payload: string, { key, attempt }: MessageContext): Promise<void> {
        expect(key).toBe(payload[0]);
        expect(++this.running).toBe(1);
        await Promise.resolve();
        this.running--;
        if (payload === 'a1' && attempt === 1) throw new Error('later');
        seen.add(payload);
      }
    }
    const { get, messaging } = await application({}, Handler);
    const duplicate = event(messaging, 'duplicate', ({ state }) => state === 'done');
    const publisher = get(Publisher);
    for (const at of ['1', '2', '2', '3']) await publisher.publish('order.created', { key: 'a', at });
    expect(await seen.until(3)).toEqual(['a1', 'a2', 'a3']);
    expect((await duplicate).key).toContain('a2');
  });
});
