import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  type MessageContext,
  MessagingModule,
  partitioned,
  Subscribe,
  type SubscriptionOptions,
  type TransportFactory,
} from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, Seen } from './support/application.js';
import { describeBrokers } from './support/brokers.js';

const mail = {
  name: 'mail',
  routeBy: ({ headers }: MessageContext): string => headers.kind as string,
} satisfies SubscriptionOptions;

describeBrokers('patterns', (fresh) => {
  let transport: () => TransportFactory;
  beforeEach(async () => void (transport = await fresh()));
  afterEach(closeApplications);

  const start = (...providers: (new () => object)[]): Promise<Application> =>
    boot({
      imports: [
        MessagingModule.forRoot({ service: 'shop', transport: transport(), retry: { attempts: 9, backoff: 20 } }),
      ],
      providers,
    });

  test('handlers of one queue get their own messages each, by route and by attribute; the rest is kept', async () => {
    const seen = new Seen<string>();
    @Injectable()
    class Handlers {
      @Subscribe('order.created', { name: 'orders' })
      created(body: number): void {
        seen.add(`created ${body}`);
      }
      @Subscribe(['order.paid', 'refund.*'], { name: 'orders' })
      money(body: number): void {
        seen.add(`money ${body}`);
      }
      @Subscribe('mail.#', { ...mail, handles: 'welcome' })
      welcome(body: number): void {
        seen.add(`welcome ${body}`);
      }
      @Subscribe('mail.#', { ...mail, handles: 'remind.*' })
      remind(body: number): void {
        seen.add(`remind ${body}`);
      }
    }
    const { messaging } = await start(Handlers);
    const { publisher, deadLetters } = messaging;
    const sent = ['order.created', 'order.paid', 'refund.part', 'order.created'];
    for (const [body, route] of sent.entries()) await publisher.publish(route, body);
    for (const [body, kind] of ['welcome', 'remind.late', 'unknown'].entries())
      await publisher.publish('mail.out', body, { headers: { kind } });
    await seen.until(6);
    expect([...seen.all].sort()).toEqual(['created 0', 'created 3', 'money 1', 'money 2', 'remind 1', 'welcome 0']);
    await waitFor(async () => (await deadLetters.count()) === 1, 'the dead letter');
    expect(await deadLetters.list()).toMatchObject([{ reason: 'no-handler', headers: { kind: 'unknown' } }]);
  });

  test('a kill switch leaves the messages in the queue, probes, and goes on; none is lost or given up', async () => {
    const seen = new Seen<number>();
    let down = true;
    let most = 0;
    @Injectable()
    class Handlers {
      @Subscribe('invoice', { prefetch: 4, killSwitch: { failures: 3, probeAfter: 150 } })
      handle(body: number): void {
        seen.add(body);
        if (down) throw new Error('down');
      }
    }
    const { messaging } = await start(Handlers);
    const states: string[] = [];
    let paused: unknown;
    // Here and now: the next probe may come before anybody else has a look.
    messaging.events.on('kill-switch', ({ state }) => {
      states.push(state);
      if (!down || states.filter((one) => one === 'tripped').length < 3) return;
      paused = messaging.health().consumers[0];
      most = seen.all.length;
      down = false;
    });
    for (let body = 0; body < 30; body++) await messaging.publisher.publish('invoice', body);
    await waitFor(() => !down, 'two failed probes');
    expect(paused).toMatchObject({ state: 'paused', reason: expect.stringContaining('kill') });
    expect(most).toBeLessThanOrEqual(3 + 4 + 2);
    await waitFor(() => new Set(seen.all.slice(most)).size === 30, 'all messages', 20_000);
    expect(messaging.health().status).toBe('up');
    expect(states.at(-1)).toBe('closed');
    expect(await messaging.deadLetters.count()).toBe(0);
  });

  test('partitioned retries in place: each key in order, the failing one too, others past it', async () => {
    const seen = new Seen<string>();
    @Injectable()
    class Handlers {
      @Subscribe('step', { prefetch: 20, concurrency: partitioned({ key: { property: 'key' }, lanes: 3 }) })
      handle({ key, n }: { key: string; n: number }, { attempt }: MessageContext): void {
        if (key === 'a' && n === 1 && attempt < 4) throw new Error('not yet');
        seen.add(`${key}${n}`);
      }
    }
    const { messaging } = await start(Handlers);
    for (let n = 1; n <= 4; n++)
      for (const key of ['a', 'b', 'c']) await messaging.publisher.publish('step', { key, n });
    const all = await seen.until(12);
    for (const key of ['a', 'b', 'c'])
      expect(all.filter((one) => one.startsWith(key))).toEqual([1, 2, 3, 4].map((n) => `${key}${n}`));
  });
});
