import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { BadRequestException, Controller, type INestApplication, ParseIntPipe, type Type } from '@nestjs/common';
import { BaseRpcExceptionFilter, Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import {
  memory,
  MemoryBroker,
  Messaging,
  MessagingModule,
  type MessagingModuleOptions,
  Publisher,
} from 'nestjs-messaging';
import {
  MessagingClient,
  type MessagingClientOptions,
  type MessagingRpcContext,
  MessagingStrategy,
  type MessagingStrategyOptions,
  rmqMicroservice,
} from 'nestjs-messaging/compat/microservices';
import { redis } from 'nestjs-messaging/redis';
import { request, Requester } from 'nestjs-messaging/request';
import { nestEnvelope } from 'nestjs-messaging/serializers';
import { firstValueFrom, lastValueFrom, type Observable, of, Subject, toArray } from 'rxjs';
import { CapturedLog, event, Seen } from '../../e2e/support/application.js';

const seen = new Seen<unknown>();
const gate = { open: (): void => undefined };

@Controller()
class Handlers {
  @EventPattern<string>('slow')
  async slow(@Payload() data: unknown): Promise<void> {
    seen.add(['started', data]);
    await new Promise<void>((resolve) => (gate.open = resolve));
    seen.add(['finished', data]);
  }

  @EventPattern(['one', 'another'])
  several(@Payload() data: unknown, @Ctx() context: MessagingRpcContext): void {
    seen.add([context.getPattern(), data]);
  }

  @EventPattern<string>('counted')
  counted(@Ctx() context: MessagingRpcContext): void {
    const { attempt } = context.messaging;
    seen.add(['counted', attempt]);
    if (attempt < 3) throw new Error('again');
  }

  @EventPattern<string>('validated')
  validated(@Payload('number', ParseIntPipe) number: number): void {
    seen.add(['validated', number]);
  }

  @EventPattern<string>('shared')
  acks(@Ctx() context: MessagingRpcContext): void {
    settling(context).ack();
  }

  /** A second handler of the same event. */
  @EventPattern<string>('shared')
  acksNot(@Payload() how: string, @Ctx() context: MessagingRpcContext): void {
    if (how === 'throws') throw new TypeError('not mine');
    settling(context).nack(undefined, false, false);
  }

  @MessagePattern('two')
  two(): Observable<number> {
    return of(1, 2);
  }

  @MessagePattern('deadline')
  deadline(@Ctx() { messaging: { deadline } }: MessagingRpcContext): string {
    return typeof deadline;
  }

  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('endless')
  endless(): Subject<number> {
    return new Subject<number>();
  }
}

@Controller()
class EventsOnly {
  @EventPattern<string>('one')
  one(): void {}
}

@Controller()
class None {}

function settling(context: MessagingRpcContext): Record<'ack' | 'nack', (...given: unknown[]) => void> {
  return context.getChannelRef() as never;
}

let app: INestApplication;
let messaging: Messaging;
let log: CapturedLog;

async function boot({
  strategy = {},
  controller = Handlers,
  listenFirst = true,
  ...options
}: Partial<MessagingModuleOptions> & {
  strategy?: MessagingStrategyOptions;
  controller?: Type;
  listenFirst?: boolean;
} = {}): Promise<void> {
  log = new CapturedLog();
  const module = MessagingModule.forRoot({
    service: 'shop',
    transport: memory(),
    retry: { attempts: 3, backoff: 1 },
    ...options,
  });
  const tested = Test.createTestingModule({ imports: [module], controllers: [controller] }).setLogger(log);
  app = (await tested.compile()).createNestApplication();
  messaging = app.get(Messaging);
  app.connectMicroservice({ strategy: new MessagingStrategy(messaging, strategy) });
  if (!listenFirst) await app.init();
  await app.startAllMicroservices();
  await app.init();
}

const client = (options: Partial<MessagingClientOptions> = {}): MessagingClient =>
  new MessagingClient({ messaging, ...options });

afterEach(() => app?.close());

test('the application may listen before it is initialised, or after', async () => {
  for (const listenFirst of [true, false]) {
    await boot({ listenFirst });
    expect(await firstValueFrom(client().send('echo', 'hello'))).toBe('hello');
    expect(messaging.health().consumers).toMatchObject([{ queue: 'shop:microservice:queue', state: 'consuming' }]);
    await app.close();
  }
});

test('a shutdown waits for running handlers, and what has not begun stays in the queue', async () => {
  const broker = new MemoryBroker();
  await boot({ transport: memory({ broker }), strategy: { prefetch: 1 } });
  await lastValueFrom(client().emit('slow', 1));
  await lastValueFrom(client().emit('slow', 2));
  await seen.until(1);
  let closed = false;
  const closing = app.close().then(() => (closed = true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(closed).toBe(false);
  gate.open();
  await closing;
  expect(seen.all).toEqual([
    ['started', 1],
    ['finished', 1],
  ]);
  expect(broker.queues().find(({ name }) => name === 'shop:microservice:queue')).toMatchObject({ ready: 1 });
});

test('a handler of several patterns gets those of each', async () => {
  await boot();
  await lastValueFrom(client().emit('one', 1));
  await lastValueFrom(client().emit('another', 2));
  expect((await seen.until(4)).slice(-2)).toEqual([
    ['one', 1],
    ['another', 2],
  ]);
});

test('retries end where the handler succeeds', async () => {
  await boot();
  const before = seen.all.length;
  await lastValueFrom(client().emit('counted', {}));
  expect((await seen.until(before + 3)).slice(before)).toEqual([
    ['counted', 1],
    ['counted', 2],
    ['counted', 3],
  ]);
});

test('what a pipe refuses need not be tried again', async () => {
  await boot({ strategy: { retry: { attempts: 3, unrecoverable: [BadRequestException] } } });
  const given = event(messaging, 'dead-lettered');
  await lastValueFrom(client().emit('validated', { number: 'none' }));
  expect(await given).toMatchObject({ reason: 'unrecoverable', attempt: 1, error: expect.any(BadRequestException) });
});

test('an event that somebody wants an answer to is retried as well, and answered in the end', async () => {
  await boot();
  const before = seen.all.length;
  expect(await lastValueFrom(client().send('counted', {}), { defaultValue: 'nothing' })).toBe('nothing');
  expect(seen.all.slice(before)).toEqual([
    ['counted', 1],
    ['counted', 2],
    ['counted', 3],
  ]);
});

test.each([
  ['throws', 'attempts-exhausted'],
  ['nacks', 'unrecoverable'],
])('the ack of one handler of an event does not hide that another one %s', async (how, reason) => {
  await boot();
  const given = event(messaging, 'dead-lettered');
  const acked = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
  await lastValueFrom(client().emit('shared', how));
  expect(await Promise.race([given, acked])).toMatchObject({ reason });
});

test('a stream that is cut off is not taken for one that has ended', async () => {
  await boot();
  const given = event(messaging, 'dead-lettered');
  const acked = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
  const endless = request<unknown, number>('endless', { serializer: nestEnvelope() });
  await expect(app.get(Requester).request(endless, {}, { timeout: 1_000 })).rejects.toMatchObject({
    code: 'REQUEST_TIMEOUT',
  });
  expect(await Promise.race([given, acked])).toMatchObject({ reason: 'expired' });
});

test('a request for several replies has no deadline, for each of them makes its sender wait longer', async () => {
  await boot();
  expect(await firstValueFrom(client().send('deadline', {}))).toBe('undefined');
  const deadline = request<unknown, string>('deadline', { serializer: nestEnvelope() });
  expect(await app.get(Requester).request(deadline, {})).toBe('number');
});

test("Nest's last filter can be called without a host, as before", async () => {
  await boot();
  expect(() => new BaseRpcExceptionFilter().catch(new Error('alone') as never, undefined as never)).not.toThrow();
});

test('a process that only publishes starts no handler', async () => {
  await boot({ consume: false });
  expect(messaging.health().consumers).toEqual([]);
  expect(log.lines.join('\n')).toContain("the handlers of Nest's microservices are not started");
});

test('without a handler nothing is subscribed to, which is told', async () => {
  await boot({ controller: None });
  expect(messaging.health().consumers).toEqual([]);
  expect(log.lines.join('\n')).toContain('No @EventPattern or @MessagePattern handler was found');
});

test('where a broker has no replies, handlers of requests are refused at boot, and events work', async () => {
  const transport = redis({ url: 'redis://127.0.0.1:1' });
  await expect(boot({ transport })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining('@MessagePattern (two, deadline, echo, endless)'),
  });
  await expect(boot({ transport, controller: EventsOnly, consume: true })).resolves.toBeUndefined();
});

test('options that are none are refused', async () => {
  await boot();
  expect(() => new MessagingStrategy(undefined as never)).toThrow('messaging');
  expect(() => new MessagingStrategy(messaging, null as never)).toThrow('options');
  expect(() => new MessagingClient({} as never)).toThrow('messaging');
  expect(() => new MessagingClient({ messaging, topics: 'x' } as never)).toThrow('topic');
  await expect(boot({ strategy: { prefetch: 0 } })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  await expect(boot({ strategy: { prefecht: 1 } as never })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
});

describe("serializers of Nest's", () => {
  const swapped = { deserialize: ({ p, d }: { p: string; d: unknown }) => ({ pattern: p, data: d }) };

  test.each([
    ['at once', swapped],
    ['with a promise', { deserialize: async (value: never) => swapped.deserialize(value) }],
  ])('a deserializer reads what comes, %s', async (_, deserializer) => {
    await boot({ strategy: { deserializer: deserializer as never } });
    const before = seen.all.length;
    await app.get(Publisher).publish('one', { p: 'another', d: 'read' });
    expect((await seen.until(before + 1)).at(-1)).toEqual(['another', 'read']);
  });

  test('one that fails makes a dead letter, and a pattern that it leaves out is the route', async () => {
    await boot({
      strategy: {
        deserializer: {
          deserialize: async (value: string) => {
            if (value === 'broken') throw new Error('unreadable');
            return { data: value };
          },
        } as never,
      },
    });
    const given = event(messaging, 'dead-lettered');
    await app.get(Publisher).publish('one', 'broken');
    expect(await given).toMatchObject({
      reason: 'undecodable',
      error: { message: expect.stringContaining('unreadable') },
    });
    const before = seen.all.length;
    await app.get(Publisher).publish('one', 'fine');
    expect((await seen.until(before + 1)).at(-1)).toEqual(['one', 'fine']);
  });

  test('a reply that cannot be read while the one before is still being read is nobody’s unhandled rejection', async () => {
    await boot();
    let read!: (value: unknown) => void;
    const first = new Promise((resolve) => (read = resolve));
    const second = Promise.reject(new Error('unreadable'));
    const then = jest.spyOn(second, 'then');
    const results = [first, second];
    let taken!: () => void;
    const both = new Promise<void>((resolve) => (taken = resolve));
    const deserialize = (): unknown => {
      if (results.length === 1) setImmediate(taken);
      return results.shift();
    };
    const replies = client({ deserializer: { deserialize } as never }).send('two', {});
    const told = firstValueFrom(replies.pipe(toArray())).catch((error: unknown) => error);
    await both;
    expect(then).toHaveBeenCalled();
    read({ response: 1 });
    expect(await told).toEqual(new Error('unreadable'));
  });

  test('serializers of both sides write what is asked and answered', async () => {
    const serializer = {
      serialize: (packet: object) => ({ ...packet, options: { headers: { by: 'strategy' } }, signed: true }),
    };
    await boot({ strategy: { serializer: serializer as never } });
    const replies: unknown[] = [];
    const deserializer = {
      deserialize: async (value: object, { headers }: { headers: object }) => {
        replies.push([value, headers]);
        return value;
      },
    };
    const asking = { serialize: ({ data, ...packet }: { data: string }) => ({ ...packet, data: `${data}!` }) };
    const own = client({ serializer: asking as never, deserializer: deserializer as never });
    expect(await firstValueFrom(own.send('echo', 'hello'))).toBe('hello!');
    expect(replies).toEqual([
      [{ response: 'hello!', isDisposed: true, signed: true }, expect.objectContaining({ by: 'strategy' })],
    ]);
  });
});

test('what instruments put around a handler runs around it', async () => {
  await boot();
  const order: unknown[] = [];
  const strategy = new MessagingStrategy(messaging, { name: 'instrumented', routes: ['instrumented'] });
  strategy.setOnProcessingStartHook((_, context, done) => {
    order.push(['start', (context as MessagingRpcContext).getPattern()]);
    void done();
  });
  strategy.setOnProcessingEndHook((_, context) => order.push(['end', (context as MessagingRpcContext).getPattern()]));
  strategy.addHandler('instrumented', async () => of(order.push('handled')), false);
  await new Promise((resolve) => void strategy.listen(resolve));
  expect(await firstValueFrom(client().send('instrumented', {}))).toBe(2);
  expect(order).toEqual([['start', 'instrumented'], 'handled', ['end', 'instrumented']]);
  await strategy.close();
});

test('a client tells what the connection does, and ends its requests when it is closed', async () => {
  await boot();
  const own = client();
  const failed = firstValueFrom(own.send('endless', {})).catch((error: unknown) => error);
  await event(messaging, 'delivered');
  own.close();
  expect(await failed).toEqual(new Error('The client was closed'));
  expect(own.unwrap()).toBe(messaging);
  const statuses: string[] = [];
  const strategy = new MessagingStrategy(messaging);
  strategy.status.subscribe((status) => statuses.push(status));
  const lost = event(messaging, 'disconnected');
  (messaging.native() as MemoryBroker).faults.disconnect();
  await lost;
  await event(messaging, 'connected');
  expect(statuses).toEqual(['disconnected', 'connected']);
  expect(strategy.unwrap()).toBe(messaging);
});

test('rmqMicroservice: a start does not wait for a broker that is away', async () => {
  const { strategy } = rmqMicroservice(
    { urls: ['amqp://127.0.0.1:1'], queue: 'orders', noAck: false, prefetchCount: 1 },
    { service: 'shop' },
  );
  expect(await new Promise((resolve) => void strategy.listen(resolve))).toBeUndefined();
  expect(strategy.unwrap().health()).toMatchObject({ status: 'down' });
  await strategy.close();
  expect(strategy.unwrap().health().connection.state).toBe('closed');
});
