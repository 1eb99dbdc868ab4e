import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { Global, Injectable, Module, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import {
  getMessagingToken,
  InjectPublisher,
  memory,
  Messaging,
  MessagingModule,
  Publisher,
  type Receipt,
  Subscribe,
} from 'nestjs-messaging';
import { MessagingProbe, MessagingTestingModule } from 'nestjs-messaging/testing';
import { MemoryBroker } from '../../lib/transports/memory/memory-broker.js';
import { boot, CapturedLog, closeApplications, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

const seen = { of: new Seen<string>() };

@Injectable()
class Handler {
  static ready = false;

  @Subscribe('started')
  handle(how: string): void {
    seen.of.add(Handler.ready ? how : `${how}, handled before the application was ready`);
  }
}

/** Publishes by every entry point there is, in one hook. */
async function publishInAllWays(publisher: Publisher, hook: string): Promise<string[]> {
  const outcomes = [
    await publisher.publish('started', `${hook} publish`),
    await publisher.publish('started', `${hook} unroutable: queue`, { unroutable: 'queue' }),
    await publisher.publish('started', `${hook} delayed`, { delay: 20 }),
    ...(await publisher.publishMany([{ route: 'started', body: `${hook} publishMany` }])),
    await publisher.sendToQueue('orders:started:queue', `${hook} sendToQueue`),
  ].map(({ outcome }) => outcome);
  expect(publisher.emit('started', `${hook} emit`)).toBe(true);
  return outcomes;
}

const WAYS = ['publish', 'unroutable: queue', 'delayed', 'publishMany', 'sendToQueue', 'emit'];
const allOf = (...hooks: string[]): string[] => hooks.flatMap((hook) => WAYS.map((way) => `${hook} ${way}`)).sort();

@Injectable()
class Early implements OnModuleInit, OnApplicationBootstrap {
  readonly outcomes: Record<string, string[]> = {};
  readonly constructed: Promise<Receipt>;

  constructor(private readonly publisher: Publisher) {
    this.constructed = publisher.publish('started', 'constructor');
  }

  async onModuleInit(): Promise<void> {
    this.outcomes.init = await publishInAllWays(this.publisher, 'init');
  }

  async onApplicationBootstrap(): Promise<void> {
    this.outcomes.bootstrap = await publishInAllWays(this.publisher, 'bootstrap');
    // Others start as long as this takes.
    await new Promise((resolve) => setImmediate(resolve));
    Handler.ready = true;
  }
}

describeAllBrokers('Publishing while the application starts', (fresh) => {
  test.each([
    ['one by one', {}],
    ['gathered', { batching: { messages: 10, maxAge: 1 } }],
  ])('reaches its own handlers on the first boot ever, from every hook and entry point: %s', async (_, options) => {
    seen.of = new Seen();
    Handler.ready = false;
    const transport = await fresh();
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport(), ...options })],
      providers: [Handler, Early],
    });
    const early = get(Early);
    expect(early.outcomes).toEqual({
      init: WAYS.slice(1).map(() => 'confirmed'),
      bootstrap: WAYS.slice(1).map(() => 'confirmed'),
    });
    expect(await (await early.constructed).settled).toMatchObject({ outcome: 'confirmed' });
    expect([...(await seen.of.until(13))].sort()).toEqual(['constructor', ...allOf('init', 'bootstrap')].sort());
  });
});

describe('Publishing while the application starts', () => {
  @Injectable()
  class Eager implements OnModuleInit {
    receipt: Receipt | undefined;

    constructor(private readonly publisher: Publisher) {}

    async onModuleInit(): Promise<void> {
      this.receipt = await this.publisher.publish('started', 'init');
    }
  }

  beforeEach(() => {
    seen.of = new Seen();
    Handler.ready = true;
  });

  test('from a global module that Nest starts before ours waits for nobody, and arrives', async () => {
    @Global()
    @Module({ providers: [Eager], exports: [Eager] })
    class First {}
    const { get } = await boot({
      imports: [First, MessagingModule.forRoot({ service: 'orders' })],
      providers: [Handler],
    });
    expect(await get(Eager).receipt?.settled).toMatchObject({ outcome: 'confirmed' });
    expect(await seen.of.until(1)).toEqual(['init']);
  });

  test('with a broker that cannot be reached yet is queued, and sent once its queues are there', async () => {
    const broker = new MemoryBroker();
    broker.faults.refuse();
    const { get, messaging } = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'orders',
          transport: memory({ broker }),
          reconnect: { initial: 1, max: 1 },
        }),
      ],
      providers: [Handler, Eager],
    });
    const returned: unknown[] = [];
    messaging.events.on('returned', (one) => void returned.push(one));
    expect(get(Eager).receipt).toMatchObject({ outcome: 'queued' });
    broker.faults.accept();
    expect(await get(Eager).receipt?.settled).toMatchObject({ outcome: 'confirmed' });
    expect(await seen.of.until(1)).toEqual(['init']);
    expect(returned).toEqual([]);
  });

  test('on each of several connections', async () => {
    const other = new Seen<string>();
    @Injectable()
    class Other implements OnModuleInit {
      constructor(@InjectPublisher('other') private readonly publisher: Publisher) {}

      async onModuleInit(): Promise<void> {
        await this.publisher.publish('elsewhere', 'init');
      }

      @Subscribe('elsewhere', { connection: 'other' })
      handle(body: string): void {
        other.add(body);
      }
    }
    await boot({
      imports: [
        MessagingModule.forRoot({ service: 'orders' }),
        MessagingModule.forRoot({ service: 'orders', connection: 'other' }),
      ],
      providers: [Handler, Eager, Other],
    });
    expect(await seen.of.until(1)).toEqual(['init']);
    expect(await other.until(1)).toEqual(['init']);
  });

  test('under test, where a publish that nobody takes is rejected', async () => {
    const { get } = await boot({
      imports: [
        MessagingModule.forRoot({ service: 'orders' }),
        MessagingTestingModule.forRoot({ unroutable: 'reject' }),
      ],
      providers: [Handler, Eager],
    });
    await get(MessagingProbe).handled({ route: 'started' });
    expect(seen.of.all).toEqual(['init']);
  });

  test('declares nothing in a process that does not consume', async () => {
    const broker = new MemoryBroker();
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: memory({ broker }), consume: false })],
      providers: [Handler],
    });
    expect(broker.queues()).toEqual([]);
    await expect(get(Publisher).publish('started', 'nobody')).rejects.toMatchObject({ code: 'UNROUTABLE' });
  });

  test('a subscription that is impossible ends the boot, with every connection closed', async () => {
    const broker = new MemoryBroker();
    const module = await Test.createTestingModule({
      imports: [
        MessagingModule.forRoot({ connection: 'first' }),
        MessagingModule.forRoot({ service: 'orders', transport: memory({ broker }), provision: false }),
      ],
      providers: [Handler],
    })
      .setLogger(new CapturedLog())
      .compile();
    await expect(module.init()).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    for (const token of [getMessagingToken('first'), Messaging])
      expect(module.get<Messaging>(token).health().connection.state).toBe('closed');
  });
});
