import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { DeadLetters, fixed, type MessageContext, MessagingModule, Publisher, Subscribe } from 'nestjs-messaging';
import { ReplyError, Requester, Respond } from 'nestjs-messaging/request';
import { cloudEvents, type CloudEventsOptions } from 'nestjs-messaging/serializers';
import { boot, closeApplications, event, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

describeAllBrokers('CloudEvents', (fresh) => {
  const prefixes = ['cloudEvents_', 'ce-', 'ce_'] as const;
  const forms = [...prefixes.map((prefix) => ({ prefix })), { mode: 'structured' as const }];

  test('arrive as they were sent in every form, and in a retry, a dead letter and a redrive', async () => {
    const seen = new Seen<object>();
    let fails = true;
    const source = '/orders €';
    const serializerOf = (form: Partial<CloudEventsOptions>) =>
      cloudEvents({ source: encodeURI(source), subject: 'Bücher "100%"', ...form });
    @Injectable()
    class Handler {
      @Subscribe('order.created', { retry: { attempts: 2, backoff: fixed(10) } })
      handle(payload: unknown, { cloudEvent, id, key, attempt }: MessageContext): void {
        const { subject, type, source: from } = cloudEvent!;
        seen.add({ payload, id, key, subject, type, from, attempt });
        if (fails) throw new Error('failed');
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport(), serializer: serializerOf({}) })],
      providers: [Handler],
    });
    let dead = 0;
    const all = event(messaging, 'dead-lettered', () => ++dead === forms.length);
    for (const [at, form] of forms.entries())
      await get(Publisher).publish(
        'order.created',
        { a: 'ü' },
        { id: `e-${at}`, key: 'k', serializer: serializerOf(form) },
      );
    await all;
    fails = false;
    await get(DeadLetters).redrive({ ids: forms.map((_, at) => `e-${at}`) });
    await seen.until(forms.length * 3);
    const told = { payload: { a: 'ü' }, key: 'k', subject: 'Bücher "100%"', type: 'order.created' };
    const expected = forms.flatMap((_, at) =>
      [1, 1, 2].map((attempt) => ({ ...told, id: `e-${at}`, from: encodeURI(source), attempt })),
    );
    const inOrder = (list: readonly object[]): string[] =>
      list.map((one) => JSON.stringify(one, Object.keys({ ...told, a: 1, id: 1, from: 1, attempt: 1 }).sort())).sort();
    expect(inOrder(seen.all)).toEqual(inOrder(expected));
  });

  test('find their handler by their type, where they are sent to a queue by its name', async () => {
    const seen = new Seen<readonly unknown[]>();
    const serializer = cloudEvents({ source: '/orders' });
    const queue = {
      ...{ queue: 'theirs', name: 'theirs', bind: false, serializer },
      routeBy: ({ cloudEvent, route }: MessageContext) => cloudEvent?.type ?? route,
    };
    @Injectable()
    class Handler {
      @Subscribe({ ...queue, route: 'created', handles: 'com.acme.order.created' })
      created(payload: unknown, { route }: MessageContext): void {
        seen.add(['created', payload, route]);
      }

      @Subscribe({ ...queue, route: 'paid', handles: ['com.acme.order.paid', 'theirs'] })
      paid(payload: unknown, { route }: MessageContext): void {
        seen.add(['paid', payload, route]);
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const send = (n: number, type?: string): Promise<unknown> =>
      get(Publisher).sendToQueue('theirs', { n }, type === undefined ? {} : { serializer: serializer.with({ type }) });
    await send(1, 'com.acme.order.created');
    await send(2, 'com.acme.order.paid');
    // What is no event has the name of its queue.
    await send(3);
    const all = [...(await seen.until(3))].sort(
      ([, one], [, two]) => (one as { n: number }).n - (two as { n: number }).n,
    );
    expect(all).toEqual([
      ['created', { n: 1 }, 'theirs'],
      ['paid', { n: 2 }, 'theirs'],
      ['paid', { n: 3 }, 'theirs'],
    ]);
    const dead = event(messaging, 'dead-lettered');
    await send(4, 'com.acme.order.lost');
    expect(await dead).toMatchObject({ reason: 'no-handler' });
  });

  test('are what requests and their answers are where nothing else is accepted', async () => {
    @Injectable()
    class Quotes {
      @Respond('order.quote')
      quote({ item }: { item?: string }): { price: number } {
        if (item === undefined) throw new ReplyError('NO_ITEM', 'There is none');
        return { price: item.length };
      }
    }
    const transport = await fresh();
    for (const mode of ['binary', 'structured'] as const) {
      const serializer = cloudEvents({ source: '/orders', accept: 'cloudevents', mode });
      const { get, close } = await boot({
        imports: [MessagingModule.forRoot({ service: 'orders', transport: transport(), serializer })],
        providers: [Quotes],
      });
      expect(await get(Requester).request('order.quote', { item: 'book' })).toEqual({ price: 4 });
      await expect(get(Requester).request('order.quote', {})).rejects.toMatchObject({ code: 'NO_ITEM' });
      await close();
    }
  });
});
