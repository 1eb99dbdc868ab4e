import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { fromRmqOptions, type RmqOptions } from 'nestjs-messaging/compat/microservices';
import { addressesOf, socketOf } from '../../../lib/compat/microservices/rmq-connection.js';
import { Markdown } from '../../docs/markdown.js';

/** With which nothing behaves otherwise but the ack. */
const plain: RmqOptions = { queue: 'orders', prefetchCount: 20, noAck: false };
const from = (options: RmqOptions): ReturnType<typeof fromRmqOptions> => {
  const file = join(mkdtempSync(join(tmpdir(), 'rmq-options-')), 'report.md');
  return fromRmqOptions(options, { service: 'shop', report: file });
};
const differencesOf = (options: RmqOptions): string => from({ ...plain, ...options }).differences.join('\n');
const refusal = (options: RmqOptions): unknown => {
  try {
    from({ ...plain, ...options });
  } catch (error) {
    return error;
  }
  return undefined;
};

const declared = {
  arguments: {
    'x-delivery-limit': undefined,
    'x-dead-letter-exchange': undefined,
    'x-dead-letter-routing-key': undefined,
    'x-dead-letter-strategy': undefined,
    'x-overflow': undefined,
    'x-queue-type': 'classic',
  },
};

test('a queue by its name', () => {
  const { module, strategy, client } = from(plain);
  expect(module).toMatchObject({ service: 'shop', transport: { topic: 'events' } });
  expect(strategy).toEqual({ queue: 'orders', prefetch: 20, bind: false, rabbitmq: declared });
  expect(client).toEqual({ queue: 'orders' });
});

describe('options are mapped', () => {
  test('queueOptions: the queue as Nest declares it', () => {
    const { strategy } = from({
      ...plain,
      queueOptions: {
        durable: false,
        autoDelete: true,
        messageTtl: 1,
        expires: 2,
        maxLength: 3,
        maxPriority: 4,
        arguments: { 'x-queue-mode': 'lazy' },
      },
    });
    expect(strategy.rabbitmq).toEqual({
      durable: false,
      autoDelete: true,
      arguments: {
        ...declared.arguments,
        'x-message-ttl': 1,
        'x-expires': 2,
        'x-max-length': 3,
        'x-max-priority': 4,
        'x-queue-mode': 'lazy',
      },
    });
    const quorum = from({ ...plain, queueOptions: { arguments: { 'x-queue-type': 'quorum' } } });
    expect(quorum.strategy.rabbitmq?.arguments).toMatchObject({ 'x-queue-type': 'quorum' });
  });

  test('queueOptions.deadLetterExchange: given up messages go where the queue says, which is told', () => {
    const queueOptions = { deadLetterExchange: 'dead', deadLetterRoutingKey: 'letters' };
    const { strategy, differences } = from({ ...plain, queueOptions });
    expect(strategy).toMatchObject({
      dlq: false,
      rabbitmq: { arguments: { 'x-dead-letter-exchange': 'dead', 'x-dead-letter-routing-key': 'letters' } },
    });
    expect(differences.join()).toContain('queueOptions.deadLetterExchange');
  });

  test('noAssert: the queue is adopted', () => {
    for (const options of [{ noAssert: true }, { queueOptions: { noAssert: true } }])
      expect(from({ ...plain, ...options }).strategy).toEqual({
        queue: 'orders',
        prefetch: 20,
        bind: false,
        adopt: true,
      });
  });

  test('no queue: one of each process, which is told', () => {
    const { strategy, differences } = from({ noAck: false, prefetchCount: 1 });
    expect(strategy).toEqual({ exclusive: true, prefetch: 1 });
    expect(differences.join()).toContain('queue: without one');
  });

  test('wildcards: the patterns bind it, to the exchange or one with the name of the queue', () => {
    const { module, strategy, client } = from({ ...plain, wildcards: true, exchange: 'shop' });
    expect(module.transport).toMatchObject({ topic: 'shop' });
    expect(strategy).toEqual({ queue: 'orders', prefetch: 20, rabbitmq: declared });
    expect(client).toEqual({});
    expect(from({ ...plain, wildcards: true }).module.transport).toMatchObject({ topic: 'orders' });
  });

  test('routingKey: binds it, alone or beside the patterns', () => {
    const keyed = { ...plain, exchange: 'shop', routingKey: 'order.#' };
    expect(from(keyed).strategy.routes).toEqual(['order.#']);
    expect(from(keyed).client).toEqual({ queue: 'orders' });
    const { routes } = from({ ...keyed, wildcards: true }).strategy;
    expect((routes as (patterns: readonly string[]) => readonly string[])(['a.b'])).toEqual(['a.b', 'order.#']);
  });

  test('exchangeType: another exchange than the one of the module', () => {
    const fanout = from({ ...plain, exchange: 'all', exchangeType: 'fanout' });
    expect(fanout.strategy).toMatchObject({ topic: 'all', routes: ['#'], rabbitmq: { exchangeType: 'fanout' } });
    expect(fanout.client).toEqual({ topic: 'all' });
    const direct = from({ ...plain, exchange: 'one', exchangeType: 'direct', routingKey: 'orders' });
    expect(direct.strategy).toMatchObject({ topic: 'one', routes: ['orders'], rabbitmq: { exchangeType: 'direct' } });
    expect(direct.client).toEqual({ queue: 'orders' });
  });

  test('headers, serializer and deserializer', () => {
    const serializer = { serialize: (value: unknown) => value };
    const deserializer = { deserialize: (value: unknown) => value };
    const { strategy, client } = from({ ...plain, headers: { tenant: 't' }, serializer, deserializer });
    expect(strategy).toMatchObject({ serializer, deserializer });
    expect(client).toMatchObject({ headers: { tenant: 't' }, serializer, deserializer });
  });

  test('urls: texts, or objects', () => {
    expect(addressesOf(['amqp://a', 'amqp://b'])).toEqual({ urls: ['amqp://a', 'amqp://b'] });
    expect(addressesOf(undefined)).toEqual({});
    expect(
      addressesOf([
        { hostname: 'h', port: 1, username: 'u', password: 'p@', vhost: 'v/1', heartbeat: 5, protocol: 'amqps' },
        {},
        { vhost: '/' },
      ]),
    ).toEqual({ urls: ['amqps://u:p%40@h:1/v%2F1?heartbeat=5', 'amqp://localhost', 'amqp://localhost'] });
    expect(from({ ...plain, urls: [{ hostname: 'h' }] }).module.transport).toBeDefined();
  });

  test('socketOptions: heartbeat, pauses, time to connect, name, TLS and socket', () => {
    const told: string[] = [];
    const connectionOptions = {
      timeout: 7,
      ca: 'ca',
      noDelay: true,
      clientProperties: { connection_name: 'n', team: 't' },
    };
    const mapped = socketOf({ reconnectTimeInSeconds: 2, heartbeatIntervalInSeconds: 3, connectionOptions }, (option) =>
      told.push(option),
    );
    expect(mapped).toEqual({
      rabbitmq: { heartbeat: 3, connectTimeout: 7, connectionName: 'n', tls: { ca: 'ca' }, socket: { noDelay: true } },
      reconnect: { initial: 2_000, max: 30_000 },
    });
    expect(told).toEqual(['socketOptions.clientProperties', 'socketOptions.reconnectTimeInSeconds']);
    expect(from({ ...plain, socketOptions: { reconnectTimeInSeconds: 60 } }).module.reconnect).toEqual({
      initial: 60_000,
      max: 60_000,
    });
  });
});

test.each<[string, RmqOptions]>([
  ['noAck: a message is acked when', { noAck: true }],
  ['noAck: a message is acked when', { noAck: undefined }],
  ['noAck: false', {}],
  ['prefetchCount: 100 messages', { prefetchCount: 0 }],
  ['persistent', { persistent: false }],
  ['consumerTag', { consumerTag: 'tag' }],
  ['maxConnectionAttempts', { maxConnectionAttempts: 3 }],
])('what behaves otherwise is told: %s', (told, options) => {
  expect(differencesOf(options)).toContain(`RmqOptions: ${told}`);
});

test('what behaves as in Nest is not told', () => {
  expect(
    differencesOf({ persistent: true, isGlobalPrefetchCount: true, maxConnectionAttempts: -1 }).split('\n'),
  ).toHaveLength(1);
});

test.each<[string, RmqOptions]>([
  ['RmqOptions.replyQueue', { replyQueue: 'mine' }],
  ['RmqOptions.exchangeArguments', { exchangeArguments: { 'alternate-exchange': 'other' } }],
  ['RmqOptions.exchangeType', { exchange: 'x', exchangeType: 'x-delayed-message' }],
  ['RmqOptions.queueOptions.exclusive', { queueOptions: { exclusive: true } }],
  ['RmqOptions.socketOptions.findServers', { socketOptions: { findServers: () => 'amqp://a' } }],
  ['RmqOptions.socketOptions.other', { socketOptions: { other: 1 } }],
  ['RmqOptions.urls[].frameMax', { urls: [{ frameMax: 1 }] }],
])('%s has no counterpart, and is refused by name with what to do instead', (name, options) => {
  expect(refusal(options)).toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(`^${name.replace(/[[\]]/g, '\\$&')} has no counterpart here: .{20}`),
  });
});

test('defaults that are written out are not refused', () => {
  expect(refusal({ replyQueue: 'amq.rabbitmq.reply-to', exchangeArguments: {} })).toBeUndefined();
});

test('a name that Nest does not have is a typing error', () => {
  expect(refusal({ prefechCount: 1 } as RmqOptions)).toMatchObject({
    code: 'INVALID_OPTION',
    message: expect.stringContaining('prefetchCount'),
  });
  expect(refusal({ queueOptions: { durabel: true } })).toMatchObject({ code: 'INVALID_OPTION' });
});

test('the report: an error, or a file to tick off', () => {
  expect(() => fromRmqOptions({ queue: 'orders' }, { service: 'shop', report: 'error' })).toThrow(
    /left to do[^]*noAck[^]*prefetchCount/,
  );
  const file = join(mkdtempSync(join(tmpdir(), 'rmq-options-')), 'report.md');
  const { differences } = fromRmqOptions({ queue: 'orders' }, { service: 'shop', report: file });
  expect(readFileSync(file, 'utf8').match(/^- \[ \] /gm)).toHaveLength(differences.length);
  expect(() => fromRmqOptions({}, { service: 'shop', report: '' })).toThrow('report');
});

test('docs/microservices.md has a row for every option', () => {
  const rows = Markdown.read('docs/microservices.md').section("Options of Nest's RabbitMQ transport").table();
  const named = new Set(rows.flatMap(({ option }) => [...option.matchAll(/`(\w+)/g)].map(([, name]) => name)));
  const { message } = refusal({ nothing: 1 } as RmqOptions) as Error;
  const all = /there are: ([\w, ]+)/.exec(message)![1].split(', ');
  expect([...named].sort()).toEqual(all.sort());
});
