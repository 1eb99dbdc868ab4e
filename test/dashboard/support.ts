import { type INestApplication, Injectable, type ModuleMetadata } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import {
  type MessageContext,
  Messaging,
  MessagingModule,
  Publisher,
  Subscribe,
  memory,
  type memoryDeadLetterArchive,
  type TransportFactory,
} from 'nestjs-messaging';
import { MessagingDashboardModule, type MessagingDashboardOptions } from 'nestjs-messaging/dashboard';
import type { CoordinationStoreFactory } from 'nestjs-messaging/stores';
import { waitFor } from '../brokers/wait-for.js';
import { CapturedLog } from '../e2e/support/application.js';

export const TOKEN = 'a-token-that-is-long-enough-for-tests';

/** What the handlers of the shop do, until a test says otherwise. */
@Injectable()
export class Orders {
  fails = true;
  readonly handled: string[] = [];

  @Subscribe('order.created', { retry: false })
  created(order: { readonly error?: string; readonly id: string }): void {
    const message = order.error ?? 'out of stock';
    const stack = `StockError: ${message}\n    at Orders.created (/app/dist/orders.service.js:27:41)\n    at async main.js:7:3`;
    if (this.fails) throw Object.assign(new Error(message), { name: 'StockError', stack });
    this.handled.push(order.id);
  }

  @Subscribe('invoice.*', { retry: false })
  invoice(_: unknown, { route }: MessageContext): void {
    throw new TypeError(`no invoice for ${route}`);
  }
}

export interface ShopOptions {
  readonly platform?: 'express' | 'fastify';
  /** Default: the embedded broker. */
  readonly transport?: TransportFactory;
  readonly dashboard?: MessagingDashboardOptions;
  /** Default: none. */
  readonly coordination?: CoordinationStoreFactory;
  readonly archive?: ReturnType<typeof memoryDeadLetterArchive>;
  readonly more?: ModuleMetadata;
  readonly configure?: (app: INestApplication) => void;
}

const open = new Set<Shop>();

export async function closeShops(): Promise<void> {
  const shops = [...open];
  open.clear();
  await Promise.all(shops.map(({ app }) => app.close()));
}

/** An application with a dashboard, listening. */
export class Shop {
  readonly orders: Orders;
  readonly messaging: Messaging;
  private sent = 0;
  private archive = false;

  constructor(
    readonly app: INestApplication,
    readonly url: string,
    readonly log: CapturedLog,
  ) {
    this.orders = app.get(Orders);
    this.messaging = app.get(Messaging);
  }

  static async open({
    platform = 'express',
    transport = memory(),
    coordination,
    dashboard,
    archive,
    more = {},
    configure,
  }: ShopOptions = {}): Promise<Shop> {
    const log = new CapturedLog();
    const module = await Test.createTestingModule({
      ...more,
      imports: [
        MessagingModule.forRoot({
          service: 'shop',
          transport,
          ...(coordination && { coordination }),
          ...(archive && { deadLetters: { archive } }),
        }),
        MessagingDashboardModule.forRoot(dashboard ?? { insecure: true }),
        ...(more.imports ?? []),
      ],
      providers: [Orders, ...(more.providers ?? [])],
    })
      .setLogger(log)
      .compile();
    const app =
      platform === 'fastify' ? module.createNestApplication(new FastifyAdapter()) : module.createNestApplication();
    configure?.(app);
    await app.listen(0, '127.0.0.1');
    const shop = new Shop(app, (await app.getUrl()).replace('[::1]', '127.0.0.1'), log);
    shop.archive = archive !== undefined;
    open.add(shop);
    const consumes = (): boolean =>
      shop.messaging.health().consumers.every(({ state }) => state === 'consuming' || state === 'paused');
    await waitFor(consumes, 'its consumers', 30_000);
    return shop;
  }

  /** Publishes what becomes dead letters, and waits until they are. */
  async fail(bodies: readonly unknown[], route = 'order.created', headers: Record<string, string> = {}): Promise<void> {
    const queue = route === 'order.created' ? 'shop:order.created:dlq' : 'shop:invoice.*:dlq';
    const before = await this.count(queue);
    const publisher = this.app.get(Publisher);
    await Promise.all(bodies.map((body) => publisher.publish(route, body, { id: `message-${++this.sent}`, headers })));
    const wanted = before + bodies.length;
    await waitFor(async () => (await this.count(queue)) === wanted, `${wanted} dead letters`);
  }

  /** The same for one message, with an id of one's own. */
  async failAs(id: string, body: unknown, headers: Record<string, string>): Promise<void> {
    await this.app.get(Publisher).publish('order.created', body, { id, headers });
    await waitFor(async () => (await this.count('shop:order.created:dlq')) > 0, 'the dead letter');
  }

  /** Until so many dead letters of orders are there, and were looked at where there is no archive. */
  async again(wanted: number): Promise<void> {
    const queue = 'shop:order.created:dlq';
    await waitFor(async () => (await this.count(queue)) === wanted, `${wanted} dead letters`);
    if (!this.archive) await this.act('POST', 'looks', { queue });
    await waitFor(async () => (await this.get('plan')).count === wanted, `${wanted} on the page`);
  }

  private count(queue: string): Promise<number> {
    const { deadLetters } = this.messaging;
    return this.archive ? deadLetters.archive.count() : deadLetters.count({ queue });
  }

  call(method: string, path: string, { body, headers }: { body?: unknown; headers?: object } = {}): Promise<Response> {
    return fetch(this.url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(headers as Record<string, string>),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  }

  async get<T = any>(path: string, headers?: object): Promise<T> {
    const response = await this.call('GET', `/messaging/api/v1/${path}`, { headers });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    return response.json() as Promise<T>;
  }

  /** As the page does it. */
  act(method: 'POST' | 'DELETE', path: string, body: unknown = {}, headers: object = {}): Promise<Response> {
    return this.call(method, `/messaging/api/v1/${path}`, { body, headers: { ...OWN, ...headers } });
  }
}

/** What a browser and the page say of a request of theirs. */
export const OWN = { 'sec-fetch-site': 'same-origin', 'x-nestjs-messaging': '1' };

/** What was shown of a filter, as an action has to say it. */
export async function seen(shop: Shop, filter = ''): Promise<{ filter: string; expected: object }> {
  const { count, fingerprint } = await shop.get(`plan?filter=${encodeURIComponent(filter)}`);
  return { filter, expected: { count, fingerprint } };
}
