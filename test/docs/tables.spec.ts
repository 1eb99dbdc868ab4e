import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import * as root from 'nestjs-messaging';
import {
  exponential,
  InvalidOptionError,
  jsonSerializer,
  memory,
  MessagingError,
  Subscribe,
  type SubscriptionOptions,
  systemClock,
} from 'nestjs-messaging';
import * as health from 'nestjs-messaging/health';
import * as kafkaEntry from 'nestjs-messaging/kafka';
import * as natsEntry from 'nestjs-messaging/nats';
import * as outboxEntry from 'nestjs-messaging/outbox';
import * as postgresEntry from 'nestjs-messaging/postgres';
import * as opentelemetry from 'nestjs-messaging/opentelemetry';
import * as rabbitmqEntry from 'nestjs-messaging/rabbitmq';
import * as recurring from 'nestjs-messaging/recurring';
import * as redisEntry from 'nestjs-messaging/redis';
import * as sqsEntry from 'nestjs-messaging/sqs';
import * as requestEntry from 'nestjs-messaging/request';
import * as requeue from 'nestjs-messaging/requeue';
import * as stores from 'nestjs-messaging/stores';
import * as testing from 'nestjs-messaging/testing';
import * as transaction from 'nestjs-messaging/transaction';
import { subscriptionsOf } from '../../lib/consumer/subscription/subscribe.decorator.js';
import { defineSubscription } from '../../lib/consumer/subscription/subscription-definition.js';
import { MESSAGING_EVENT_NAMES } from '../../lib/events/messaging-events.js';
import { resolveOptions } from '../../lib/messaging.options.js';
import { MessageFactory } from '../../lib/publisher/message-factory.js';
import { RetryPolicy } from '../../lib/retry/retry-policy.js';
import { checkOptions as checkKafkaOptions } from '../../lib/transports/kafka/options.js';
import { checkOptions as checkNatsOptions } from '../../lib/transports/nats/options.js';
import { type OutboxSettings, resolveOutboxOptions } from '../../lib/outbox/outbox-options.js';
import { checkOptions as checkPostgresOptions } from '../../lib/transports/postgres/options.js';
import { checkOptions as checkRedisOptions } from '../../lib/transports/redis/options.js';
import { checkOptions as checkSqsOptions } from '../../lib/transports/sqs/options.js';
import { MAX_DELAY_MS as MAX_NATS_DELAY_MS } from '../../lib/transports/nats/publishing/publisher.js';
import { MAX_DELAY_MS } from '../../lib/transports/rabbitmq/topology/delay-path.js';
import { checkOptions, checkSubscriptionOptions } from '../../lib/transports/rabbitmq/options.js';
import { code, Markdown, type Row } from './markdown.js';

const readme = Markdown.read('README.md');
const optionsPage = Markdown.read('docs/options.md');
const manifest = JSON.parse(readFileSync(resolve(__dirname, '../../package.json'), 'utf8')) as {
  engines: { node: string };
  scripts: Record<string, string>;
  peerDependencies: Record<string, string>;
};
const defaults = {
  service: 'orders',
  instance: 'host-1',
  system: 'rabbitmq',
  provision: true,
  retry: {},
  middleware: [],
  maxDelayMs: 1_000,
  replies: true,
};

/** The value of JavaScript in the document. */
function evaluate(text: string, scope: object = root): any {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  return new Function(...Object.keys(scope), `return ${text}`)(...Object.values(scope)) as unknown;
}

/** The option names that the code knows, as it tells them to who uses another. */
function knownNames(use: (unknown: object) => unknown): string[] {
  try {
    use({ nonsense: 1 });
  } catch (error) {
    if (error instanceof InvalidOptionError) return error.allowed.replace(/^.*(are: |known: |one of )/, '').split(', ');
    throw error;
  }
  throw new Error('A name that does not exist was accepted');
}

function options(section: string): Map<string, Row> {
  return new Map(
    optionsPage
      .section(section)
      .table()
      .map((row) => [code(row.option), row]),
  );
}

/** The documented defaults, evaluated; those left empty are left out. */
function documentedDefaults(section: string): Record<string, unknown> {
  const rows = [...options(section)].filter(([, row]) => row.default !== '');
  return Object.fromEntries(rows.map(([name, row]) => [name, evaluate(code(row.default))]));
}

/** Values as they are; factories and functions by what they do. */
function comparable(value: any): unknown {
  if (typeof value === 'function') return [1, 2, 3, 9].map((attempt) => value(attempt) as number);
  if (typeof value?.create === 'function') return { system: value.system as unknown, kind: value.kind as unknown };
  return value as unknown;
}

function expectDefaults(section: string, actual: Record<string, unknown>): void {
  const documented = documentedDefaults(section);
  for (const name of Object.keys(documented)) {
    expect({ [name]: comparable(documented[name]) }).toEqual({ [name]: comparable(actual[name]) });
  }
  const given = Object.keys(actual).filter((name) => actual[name] !== undefined);
  expect(Object.keys(documented).sort()).toEqual(given.sort());
}

describe('docs/options.md, the options', () => {
  // Backoffs are compared by what they say; this takes the chance out of them.
  beforeAll(() => {
    jest.spyOn(Math, 'random').mockReturnValue(0.5);
  });
  afterAll(() => {
    jest.restoreAllMocks();
  });

  test('of forRoot are all there, with their defaults', () => {
    const { service, retryQueue, retry: _, reconnect, deadLetters, ...flat } = resolveOptions({});
    const policy = new RetryPolicy({}) as any;
    const actual: Record<string, unknown> = { ...flat };
    for (const [name, value] of Object.entries(retryQueue)) actual[`retryQueue.${name}`] = value;
    for (const [name, value] of Object.entries(deadLetters)) actual[`deadLetters.${name}`] = value;
    for (const [name, value] of Object.entries(reconnect)) actual[`reconnect.${name}`] = value;
    for (const name of ['attempts', 'immediate', 'backoff', 'unrecoverable', 'only'])
      actual[`retry.${name}`] = policy[name];
    expectDefaults('forRoot', actual);
    expect(service).toBe('app');
    expect(options('forRoot').get('service')!.what).toContain("(`'app'`)");
    expect(resolveOptions({}).serializer).toBe(jsonSerializer);
    expect(resolveOptions({}).clock).toBe(systemClock);

    const names = [
      ...knownNames((unknown) => resolveOptions(unknown)),
      ...knownNames((retryQueue) => resolveOptions({ retryQueue })).map((name) => `retryQueue.${name}`),
      ...knownNames((reconnect) => resolveOptions({ reconnect })).map((name) => `reconnect.${name}`),
      ...knownNames((deadLetters) => resolveOptions({ deadLetters })).map((name) => `deadLetters.${name}`),
      ...knownNames((retry) => resolveOptions({ retry })).map((name) => `retry.${name}`),
    ].filter((name) => !['retryQueue', 'reconnect', 'retry', 'deadLetters'].includes(name));
    expect([...options('forRoot').keys()].sort()).toEqual(names.sort());
  });

  test('of exponential() have the documented defaults', () => {
    const line = optionsPage
      .section('forRoot')
      .text.split('\n')
      .find((one) => one.startsWith('`exponential()` waits'))!;
    const documented = Object.fromEntries(
      [...line.matchAll(/`(\w+)` \(`([^`]+)`\)/g)].map(([, name, value]) => [name, evaluate(value)]),
    );
    expect(Object.keys(documented).sort()).toEqual(['factor', 'initial', 'jitter', 'max']);
    for (const random of [0, 0.25, 0.5, 0.999]) {
      const [ours, theirs] = [
        exponential({ random: () => random }),
        exponential({ ...documented, random: () => random }),
      ];
      for (const attempt of [1, 2, 3, 5, 20]) expect(ours(attempt, undefined)).toBe(theirs(attempt, undefined));
    }
  });

  test('of @Subscribe are all there, with their defaults', () => {
    const { topology, prefetch, concurrency, delayMs, middleware, timeoutMs, answers } = defineSubscription(
      { route: 'a' },
      defaults,
    );
    expectDefaults('@Subscribe', {
      dlq: topology.deadLetter !== undefined,
      prefetch,
      concurrency,
      bind: topology.patterns.length > 0,
      adopt: topology.adopt ?? false,
      exclusive: topology.exclusive !== undefined,
      delay: delayMs,
      middleware,
      timeout: timeoutMs,
      answers: answers?.when !== 'never',
    });
    const names = knownNames((unknown) => defineSubscription({ route: 'a', ...unknown }, defaults));
    expect([...options('@Subscribe').keys()].sort()).toEqual(names.sort());
    const native = options('@Subscribe')
      .get('rabbitmq')!
      .what.match(/`\{ (.*) \}`/)![1]
      .split(', ');
    expect(native.sort()).toEqual(knownNames((unknown) => checkSubscriptionOptions({ ...unknown })).sort());
  });

  test('of publish are all there', () => {
    const factory = new MessageFactory({
      serializer: jsonSerializer,
      clock: systemClock,
      unroutable: 'reject',
      maxBytes: 1,
      maxDelayMs: 1,
    });
    const names = knownNames((unknown) => factory.create({ kind: 'route', route: 'a' }, 'a', 1, unknown));
    expect([...options('publish').keys()].sort()).toEqual(names.sort());
  });

  test('of memory() are all there, with their defaults', () => {
    const transport = memory().create() as any;
    const { topic, maxBytes } = transport.defaults as { topic: string; maxBytes: number };
    expectDefaults('memory', { topic, maxBytes, maxMessages: transport.native().directory.maxMessages as unknown });
    expect([...options('memory').keys()].sort()).toEqual(knownNames((unknown) => memory(unknown)).sort());
  });

  test('of rabbitmq() are all there, with their defaults', async () => {
    const connect = jest.fn<(...args: any[]) => Promise<never>>().mockRejectedValue(new Error('not now'));
    jest.doMock('amqplib', () => ({ connect }));
    const settings = checkOptions({});
    await expect(settings.addresses[0].open('name')).rejects.toThrow('not now');
    const [target, socket] = connect.mock.calls[0];
    expect(target).toMatchObject({ protocol: 'amqp', port: 5672, vhost: '%2F' });
    const { timeout, clientProperties: _, ...socketDefaults } = socket;
    expectDefaults('rabbitmq', {
      url: `amqp://${target.hostname}`,
      exchange: settings.exchange,
      queueType: settings.queueType,
      deliveryLimit: settings.deliveryLimit,
      heartbeat: target.heartbeat as unknown,
      connectTimeout: timeout as unknown,
      maxBytes: settings.maxBytes,
      socket: socketDefaults,
    });
    expect([...options('rabbitmq').keys()].sort()).toEqual(knownNames((unknown) => checkOptions(unknown)).sort());
  });

  test('of nats() are all there, with their defaults', async () => {
    const connect = jest.fn<(...args: any[]) => Promise<never>>().mockRejectedValue(new Error('not now'));
    jest.doMock('@nats-io/transport-node', () => ({ connect }));
    const { address, ...settings } = checkNatsOptions({});
    await expect(address.open('name')).rejects.toThrow('not now');
    const { servers, name: _name, reconnect: _reconnect, ...native } = connect.mock.calls[0][0];
    expectDefaults('nats', { ...settings, servers: `nats://${servers[0]}`, options: native });
    expect([...options('nats').keys()].sort()).toEqual(knownNames((unknown) => checkNatsOptions(unknown)).sort());
  });

  test('of kafka() are all there, with their defaults', () => {
    const { host: _host, redact: _redact, config, ...settings } = checkKafkaOptions({});
    const { brokers, clientId: _clientId, ...native } = config('orders');
    expectDefaults('kafka', {
      ...settings,
      brokers: (brokers as string[]).join(),
      mechanism: 'plain',
      options: native,
    });
    expect([...options('kafka').keys()].sort()).toEqual(knownNames((unknown) => checkKafkaOptions(unknown)).sort());
  });

  test('of postgres() are all there, with their defaults', () => {
    const { address, ...settings } = checkPostgresOptions({});
    const { connectionString: url, options: _session, ...native } = address.config();
    expectDefaults('postgres', { ...settings, url, options: native });
    expect([...options('postgres').keys()].sort()).toEqual(
      knownNames((unknown) => checkPostgresOptions(unknown)).sort(),
    );
  });

  test('of the outbox are all there, with their defaults', () => {
    const checked = (given: object): OutboxSettings => resolveOutboxOptions(given, 'outbox');
    const { address, ...settings } = checked({});
    const { connectionString: url, ...native } = address.config();
    expectDefaults('outbox', { ...settings, url, options: native });
    expect([...options('outbox').keys()].sort()).toEqual(knownNames(checked).sort());
  });

  test('of redis() are all there, with their defaults', () => {
    const { address, ...settings } = checkRedisOptions({});
    const { keepAlive, connectTimeout, host, port } = address.config();
    expectDefaults('redis', { ...settings, url: `redis://${host}:${port}`, options: { keepAlive, connectTimeout } });
    expect([...options('redis').keys()].sort()).toEqual(knownNames((unknown) => checkRedisOptions(unknown)).sort());
  });

  test('of sqs() are all there, with their defaults', () => {
    const { host: _host, config: _config, snsConfig: _snsConfig, redact: _redact, ...settings } = checkSqsOptions({});
    expectDefaults('sqs', { ...settings, options: {} });
    expect([...options('sqs').keys()].sort()).toEqual(knownNames((unknown) => checkSqsOptions(unknown)).sort());
  });
});

test('README.md has six options, with the defaults of docs/options.md', () => {
  const six = readme.section('Six options').table();
  expect(six).toHaveLength(6);
  const all = new Map([...options('forRoot'), ...options('@Subscribe')]);
  for (const { option, default: value } of six) expect(value).toBe(all.get(code(option))!.default);
});

describe('tables and lists of README.md and docs:', () => {
  test('queues have the documented names', () => {
    const rows = Markdown.read('docs/queues.md').table();
    for (const row of rows) {
      const [first, second] = evaluate(code(row.subscription).replace(/^@Subscribe\((.*)\)$/, '[$1]')) as [
        string,
        SubscriptionOptions?,
      ];
      class Handlers {
        handle(): void {}
      }
      Subscribe(first, second)(
        Handlers.prototype,
        'handle',
        Object.getOwnPropertyDescriptor(Handlers.prototype, 'handle')!,
      );
      const { topology } = defineSubscription(subscriptionsOf(Handlers.prototype, 'handle')[0], defaults);
      const cell = (text: string | undefined): string => (text === undefined ? '' : `\`${text}\``);
      expect(row).toMatchObject({
        queue: cell(topology.queue),
        'dead-letter queue': cell(topology.deadLetter?.queue),
        'dead-letter route': cell(topology.deadLetter?.route),
      });
    }
    expect(rows.length).toBeGreaterThanOrEqual(5);
  });

  test('every error class has its row, with its code', () => {
    // The code of these two is the application's own.
    const { ReplyError: _, RemoteError: __, ...requests } = requestEntry;
    const actual = Object.values({ ...root, ...stores, ...transaction, ...requests })
      .filter(
        (value): value is typeof MessagingError =>
          typeof value === 'function' && value.prototype instanceof MessagingError,
      )
      .map((type) => {
        const error = new (type as unknown as new (...texts: string[]) => MessagingError)('1', '2', '3');
        return { code: error.code, class: error.name, retryable: error.retryable ? 'yes' : 'no' };
      });
    const documented = Markdown.read('docs/errors.md')
      .table()
      .map((row) => ({ code: code(row.code), class: code(row.class), retryable: row.retryable }));
    expect(documented.sort(byCode)).toEqual(actual.sort(byCode));
  });

  test('the events are those of the code', () => {
    const documented = Markdown.read('docs/events.md')
      .table()
      .map((row) => code(row.event));
    expect(documented).toEqual([...MESSAGING_EVENT_NAMES]);
  });

  test('the reasons of dead letters are those of the code', () => {
    const source = readFileSync(resolve(__dirname, '../../lib/pipeline/dead-letter-reason.ts'), 'utf8');
    const actual = [...source.matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(([, reason]) => reason);
    const line = Markdown.read('docs/dead-letters.md')
      .section('Reasons')
      .text.split('\n')
      .find((one) => one.includes('Reasons:'))!;
    const documented = [
      ...line
        .split('Reasons:')[1]
        .split(';')[0]
        .matchAll(/`([a-z-]+)`/g),
    ].map(([, reason]) => reason);
    expect(documented).toEqual(actual);
    expect(actual.length).toBeGreaterThan(3);
  });

  test('the commands exist', () => {
    const [commands, install] = ['Try it', 'Install'].map((title) => readme.section(title).blocks('sh')[0].code);
    const scripts = [...commands.matchAll(/^npm (\w+)/gm)].map(([, name]) => name);
    expect(scripts).toEqual(['start', 'test']);
    for (const script of scripts) expect(manifest.scripts).toHaveProperty(script);
    const packages = [...install.matchAll(/^npm install (\S+)/gm)].map(([, name]) => name);
    expect(packages).toEqual([
      'nestjs-messaging',
      'amqplib@2',
      '@nats-io/transport-node@3',
      'pg@8',
      'ioredis@6',
      'kafkajs@2',
      '@aws-sdk/client-sqs@3',
      '@nestjs/terminus',
      '@opentelemetry/api',
    ]);
    expect(manifest.peerDependencies).toMatchObject({ amqplib: '^2.0.0', '@nestjs/terminus': expect.any(String) });
  });

  test('the versions are those of the manifest', () => {
    expect(readme.section('Install').text).toContain('For Nest 11 and 12, on Node 20.19, 22.12, 24 and later');
    expect(manifest.engines.node).toBe('^20.19.0 || ^22.12.0 || >=24.0.0');
    expect(manifest.peerDependencies['@nestjs/core']).toBe('^11.0.0 || ^12.0.0');
  });

  test('the limits are those of the code', () => {
    const limits = Markdown.read('docs/guarantees.md').section('Limits').text;
    expect(limits).toContain(`The longest is ${Math.floor(MAX_DELAY_MS / 86_400_000)} days`);
    expect(limits).toContain(`The longest delay is ${MAX_NATS_DELAY_MS / 86_400_000} days`);
    const source = readFileSync(resolve(__dirname, '../../lib/publisher/memory-retry-queue.ts'), 'utf8');
    const [, most] = /MAX_PUBLISHER_DEAD_LETTERS = ([\d_]+)/.exec(source)!;
    expect(Markdown.read('docs/dead-letters.md').section('Reasons').text).toContain(
      `at most ${Number(most.replace('_', '')).toLocaleString('en')}`,
    );
    const nested = (levels: number): Buffer => Buffer.from('['.repeat(levels) + ']'.repeat(levels));
    expect(() => jsonSerializer.deserialize(nested(64), {})).not.toThrow();
    expect(() => jsonSerializer.deserialize(nested(65), {})).toThrow('64');
  });

  test('the names that stand in the text are exported', () => {
    const exported = {
      ...root,
      ...health,
      ...kafkaEntry,
      ...natsEntry,
      ...outboxEntry,
      ...postgresEntry,
      ...opentelemetry,
      ...rabbitmqEntry,
      ...redisEntry,
      ...sqsEntry,
      ...requeue,
      ...requestEntry,
      ...recurring,
      ...stores,
      ...testing,
      ...transaction,
    };
    const others = ['AppModule', 'Buffer', 'Map', 'Uint8Array', 'publish', 'isHealthy', 'sendToQueue'];
    const methods = [
      'publishInTransaction',
      'publishMany',
      'emit',
      'drained',
      'cancel',
      'run',
      'health',
      'forRootAsync',
    ];
    const named = ['README.md', 'docs/guarantees.md', 'docs/options.md', 'docs/publishing.md', 'docs/handlers.md']
      .concat('docs/queues.md', 'docs/errors.md', 'docs/events.md', 'docs/operating.md')
      .flatMap((page) => Markdown.read(page).inlineCode())
      .map((text) => /^@?([A-Z]\w*[a-z]\w*|[a-z]\w*(?=\())(\(.*)?$/.exec(text)?.[1])
      .filter((name) => name !== undefined);
    expect(named.length).toBeGreaterThan(30);
    for (const name of named) {
      if (!others.concat(methods).includes(name)) expect(exported).toHaveProperty(name);
    }
  });

  test('the folders in docs/architecture.md are those of lib', () => {
    const documented = Markdown.read('docs/architecture.md')
      .section('Folders')
      .table()
      .map((row) => code(row.folder).replace('lib/', ''));
    const folders = (path: string): string[] =>
      readdirSync(resolve(__dirname, '../../lib', path), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => join(path, name));
    expect(documented.sort()).toEqual([...folders(''), ...folders('consumer')].sort());
  });
});

function byCode(a: { code: string }, b: { code: string }): number {
  return a.code < b.code ? -1 : 1;
}
