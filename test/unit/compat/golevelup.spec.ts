import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Injectable, Scope } from '@nestjs/common';
import {
  defaultAssertQueueErrorHandler,
  GolevelupCompatModule,
  type GolevelupCompatOptions,
  type MessageHandlerOptions,
  MessageHandlerErrorBehavior,
  requeueErrorHandler,
  AmqpConnection,
  type RabbitMQConfig,
  RabbitRPC,
  RabbitSubscribe,
} from 'nestjs-messaging/compat/golevelup';
import { type Application, boot, closeApplications } from '../../e2e/support/application.js';
import { Markdown } from '../../docs/markdown.js';
import { Handled } from '../../compat/golevelup/support.js';

const { ACK, NACK, REQUEUE } = MessageHandlerErrorBehavior;
const NOWHERE = 'amqp://localhost:1';

afterEach(closeApplications);

/** Nobody listens there: handlers are read and reported, and wait for the broker. */
function start(
  options: MessageHandlerOptions | undefined,
  config: Partial<RabbitMQConfig> = {},
  more: GolevelupCompatOptions = {},
  decorate: typeof RabbitSubscribe = RabbitSubscribe,
): Promise<Application> {
  const module = GolevelupCompatModule.forRoot(
    { uri: NOWHERE, defaultSubscribeErrorBehavior: ACK, ...config },
    { service: 'shop', ...more },
  );
  return boot({ imports: [module], providers: options ? [new Handled(options, undefined, decorate).provider] : [] });
}

const own = (more: MessageHandlerOptions): MessageHandlerOptions => ({
  exchange: 'shop',
  routingKey: 'order.created',
  queue: 'orders',
  ...more,
});
const reported = ({ log }: Application): string[] =>
  log.lines.flatMap((line) => /^warn (.*) MigrationReport$/.exec(line)?.[1] ?? []);

describe('what behaves otherwise is reported, with class and method', () => {
  test.each<[string, MessageHandlerOptions, RegExp]>([
    ['REQUEUE', own({ errorBehavior: REQUEUE }), /^Orders\.taken: errorBehavior REQUEUE: retried with pauses/],
    ['NACK', own({ errorBehavior: NACK }), /^Orders\.taken: errorBehavior NACK: a dead letter in «shop:orders:dlq»/],
    ['an error handler', own({ errorHandler: requeueErrorHandler }), /^Orders\.taken: errorHandler: gets a stand-in/],
    ['no queue', own({ queue: undefined }), /^Orders\.taken: queue: left out: a queue of this process/],
    [
      'an adopted queue',
      own({ createQueueIfNotExists: false }),
      /: createQueueIfNotExists: false: .*«shop:orders:dlq»/,
    ],
    ['exclusive', own({ queueOptions: { exclusive: true } }), /: queueOptions\.exclusive: «orders» goes with/],
    ['a tag', own({ queueOptions: { consumerOptions: { consumerTag: 't' } } }), /consumerOptions\.consumerTag: tags/],
    ['a channel', own({ queueOptions: { channel: 'c' } }), /: queueOptions\.channel «c»: not among «channels»/],
    [
      'a handler of assertions',
      own({ assertQueueErrorHandler: () => 'q' }),
      /: assertQueueErrorHandler: is not called/,
    ],
    ['a batch', own({ batchOptions: { size: 2 } }), /: batchOptions\.timeout: a batch is handled 200 ms after/],
    ['replies', own({ usePersistentReplyTo: false }), /: usePersistentReplyTo: false: replies are persistent/],
    ['no key', own({ routingKey: undefined }), /: exchange: binds nothing without «routingKey»/],
    ['a name', own({ name: 'n' }), /: name «n»: not registered/],
  ])('%s', async (_, options, line) => {
    expect(reported(await start(options))).toEqual([expect.stringMatching(line)]);
  });

  test('a batch that is too small, or larger than the prefetch', async () => {
    expect(reported(await start(own({ batchOptions: { size: 1, timeout: 5 } })))).toEqual([
      expect.stringContaining('timeout: a batch is handled 5 ms'),
      expect.stringContaining('batchOptions.size: 10, as with theirs'),
    ]);
    expect(reported(await start(own({ batchOptions: { size: 50 } })))).toContainEqual(
      expect.stringContaining('prefetchCount: raised to 50'),
    );
  });

  test('errorBehavior of an RPC handler', async () => {
    expect(reported(await start(own({ errorBehavior: ACK }), {}, {}, RabbitRPC))).toEqual([
      expect.stringContaining('Orders.taken: errorBehavior: is taken; theirs requeues'),
    ]);
  });

  test.each<[Partial<RabbitMQConfig>, RegExp]>([
    [{ defaultSubscribeErrorBehavior: undefined }, /defaultSubscribeErrorBehavior REQUEUE: a failed call is retried/],
    [{ defaultRpcErrorHandler: requeueErrorHandler }, /defaultRpcErrorHandler: gets a stand-in/],
    [{ connectionInitOptions: { wait: true } }, /connectionInitOptions: the application starts without its broker/],
    [{ logger: { log() {}, warn() {}, error() {} } }, /logger: has what handlers and requests say/],
    [{ enableDirectReplyTo: false }, /enableDirectReplyTo: false: @RabbitRPC is not registered/],
    [{ queues: [{ name: 'q', consumerTag: 't' }] }, /queues: «q»: consumerTag: tags are our own/],
  ])('of the module: %j', async (config, line) => {
    expect(reported(await start(undefined, config))).toEqual([
      expect.stringMatching(new RegExp(`^GolevelupCompatModule: ${line.source}`)),
    ]);
  });

  test('nothing where nothing does; a name that is not given', async () => {
    const options = own({ errorBehavior: ACK, assertQueueErrorHandler: defaultAssertQueueErrorHandler });
    expect(reported(await start(options))).toEqual([]);
    expect(reported(await start(undefined, {}, { service: undefined }))).toEqual([
      expect.stringContaining('service: dead letters are in «app:<queue>:dlq»'),
    ]);
  });

  test("with 'error' the start is refused with all of them, and a path is a list", async () => {
    const options = own({ errorBehavior: NACK, usePersistentReplyTo: false });
    await expect(start(options, {}, { report: 'error' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/^2 left to do .*golevelup:\n- Orders\.taken: .*\n- Orders\.taken: /),
    });
    const folder = mkdtempSync(join(tmpdir(), 'golevelup-'));
    await start(options, {}, { report: join(folder, 'left.md') });
    expect(readFileSync(join(folder, 'left.md'), 'utf8').match(/^- \[ \] Orders\.taken/gm)).toHaveLength(2);
    rmSync(folder, { recursive: true });
  });
});

describe('what cannot be kept is refused with the remedy, by the name of the handler', () => {
  test.each<[MessageHandlerOptions, string]>([
    [own({ queueOptions: { consumerOptions: { noAck: true } } }), 'consumerOptions.noAck'],
    [own({ queueOptions: { consumerOptions: { exclusive: true } } }), 'x-single-active-consumer'],
    [own({ queueOptions: { consumerOptions: { priority: 3 } } }), 'prefetchCount'],
    [own({ queueOptions: { consumerOptions: { arguments: { 'x-stream-offset': 'first' } } } }), 'streams'],
    [own({ queueOptions: { arguments: { 'x-queue-type': 'stream' } } }), 'Bind a queue of another type'],
    [own({ errorBehavior: 'DROP' as never }), "'ACK' | 'NACK' | 'REQUEUE'"],
    [own({ routingKeys: 'a' } as never), 'nothing of that name; there are: type, name, connection'],
    [own({ queueOptions: { messageTTL: 5 } as never }), 'messageTtl'],
    [own({ batchOptions: { size: 5, wait: 1 } as never }), 'size, timeout, errorHandler'],
  ])('%j', async (options, told) => {
    const refused = start(options);
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(told) });
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining('Orders.taken') });
  });

  test('a batch of requests, and a class that is made for each request', async () => {
    await expect(start(own({ batchOptions: { size: 5 } }), {}, {}, RabbitRPC)).rejects.toThrow('batchOptions');
    @Injectable({ scope: Scope.REQUEST })
    class Orders {
      @RabbitSubscribe(own({}))
      created(): void {}
    }
    const module = GolevelupCompatModule.forRoot({ uri: NOWHERE }, { service: 'shop' });
    await expect(boot({ imports: [module], providers: [Orders] })).rejects.toMatchObject({
      code: 'SUBSCRIPTION_CONFLICT',
      message: expect.stringContaining('Orders.created: its class is made for each request'),
    });
  });

  test.each<[Partial<RabbitMQConfig>, string]>([
    [{ urii: 'a' } as never, 'config.urii'],
    [{ uri: [] }, 'config.uri'],
    [{ uri: { hostname: '' } }, 'config.uri.hostname'],
    [{ uri: { hostname: 'a', frameMax: 5 } }, 'config.uri.frameMax'],
    [{ exchanges: [{ nam: 'a' } as never] }, 'config.exchanges.nam'],
    [{ exchangeBindings: [{ destination: 'a', source: 'b', key: 'c' } as never] }, 'config.exchangeBindings.key'],
    [{ defaultSubscribeErrorBehavior: 'DROP' as never }, 'config.defaultSubscribeErrorBehavior'],
    [{ connectionManagerOptions: { findServers: () => 'a' } }, 'config.connectionManagerOptions.findServers'],
    [{ connectionManagerOptions: { maxRetries: 5 } }, 'config.connectionManagerOptions.maxRetries'],
    [
      { connectionManagerOptions: { connectionOptions: { channelMax: 5 } } },
      'config.connectionManagerOptions.connectionOptions.channelMax',
    ],
  ])('of the module: %j', (config, option) => {
    expect(() => GolevelupCompatModule.forRoot({ uri: NOWHERE, ...config })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });
});

test('without a config nothing is connected, and AmqpConnection is undefined', async () => {
  const { Test } = await import('@nestjs/testing');
  const made = Test.createTestingModule({ imports: [GolevelupCompatModule.forRoot(undefined)] });
  const module = await made.compile();
  await module.init();
  expect(module.get(AmqpConnection, { strict: false })).toBeUndefined();
  await module.close();
});

test('forRootAsync takes the config from a factory, with what that needs', async () => {
  const module = GolevelupCompatModule.forRootAsync(
    { imports: [], inject: [], useFactory: async () => ({ uri: NOWHERE, defaultRpcTimeout: 7 }) },
    { service: 'shop' },
  );
  const application = await boot({ imports: [module] });
  expect(application.get(AmqpConnection).configuration).toMatchObject({ name: 'default', defaultRpcTimeout: 7 });
});

test('docs/golevelup.md has a row for every option', () => {
  const page = Markdown.read('docs/golevelup.md');
  const named = (section: string): string[] =>
    page
      .section(section)
      .table()
      .flatMap((row) => [...row.option.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const refusal = (config: object): string[] => {
    try {
      GolevelupCompatModule.forRoot({ unknown: 1, ...config } as never);
    } catch (error) {
      return /there are: ([\w, ]+)/.exec((error as Error).message)![1].split(', ');
    }
    throw new Error('It was taken');
  };
  expect(named('The module').sort()).toEqual(refusal({}).sort());
  expect(named('A handler')).toEqual(
    expect.arrayContaining([
      ...['exchange', 'routingKey', 'bindings', 'queue', 'queueOptions', 'consumerOptions', 'errorBehavior'],
      ...['errorHandler', 'assertQueueErrorHandler', 'allowNonJsonMessages', 'createQueueIfNotExists', 'name'],
      ...['usePersistentReplyTo', 'deserializer', 'batchOptions', 'connection'],
    ]),
  );
});
