import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type ChannelModel, connect } from 'amqplib';
import { type Clock, Messaging, MessagingModule, Publisher, systemClock, UnrecoverableError } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { copyToQueue, originHeaders } from '../../lib/consumer/settlement/copy.js';
import { deadLetterCopy } from '../../lib/consumer/settlement/dead-letter-copy.js';
import { defineSubscription } from '../../lib/consumer/subscription/subscription-definition.js';
import { header, requestHeader, type Headers } from '../../lib/message/headers.js';
import type { WireMessage } from '../../lib/message/message.js';
import { jsonSerializer } from '../../lib/message/serializer.js';
import { MessageFactory } from '../../lib/publisher/message-factory.js';
import type { PublishOptions } from '../../lib/publisher/publish-options.js';
import type { Delivery } from '../../lib/transport/delivery.js';
import { MAX_DELAY_MS } from '../../lib/transports/rabbitmq/topology/delay-path.js';
import { delayBands, delayEnds } from '../../lib/transports/rabbitmq/topology/delay-topology.js';
import { encode, targetOf } from '../../lib/transports/rabbitmq/wire/encode.js';
import { namesOf, transportHeader } from '../../lib/transports/rabbitmq/names.js';
import type { Operation } from '../../lib/transports/rabbitmq/topology/operations.js';
import { checkOptions } from '../../lib/transports/rabbitmq/options.js';
import { topologyOperations } from '../../lib/transports/rabbitmq/topology/topology.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { contentHeader, Recorder } from './amqp-bytes.js';
import { documentedPublish, PUBLISHED_AT, wireDocument } from './documented-publish.js';
import { code, type Row } from './markdown.js';

const document = wireDocument;
const bytes = document.section('Bytes');
const clock: Clock = { ...methodsOf(systemClock), now: () => PUBLISHED_AT };
const factory = new MessageFactory({
  serializer: jsonSerializer,
  clock,
  unroutable: 'reject',
  maxBytes: 2 ** 20,
  maxDelayMs: 1_000,
});
const names = namesOf('events');

interface Golden {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
  readonly body: string;
}

const golden = JSON.parse(bytes.blocks('json')[0].code) as Golden;
const goldenHex = bytes.blocks('hex')[0].code.replace(/\s/g, '');

function messageOf(...[route, body, options]: [string, unknown, PublishOptions]): WireMessage {
  return factory.create({ kind: 'route', route }, route, body, options).message;
}

test('the headers of requests and replies are those of the code', () => {
  const rows = document.section('Replies').table();
  expect(rows.map((row) => code(row.header)).sort()).toEqual(Object.values(requestHeader).sort());
});

describe('docs/wire.md', () => {
  describe('the headers', () => {
    const rows = document.section('Headers').table();
    const listed = (column: string, ...marks: RegExp[]): string[] =>
      rows.filter((row) => marks.some((mark) => mark.test(row[column]))).map((row) => code(row.header));
    const always = /^always$/;
    const sometimes = /^if /;
    const kept = /^kept$/;

    test('are exactly those of the code', () => {
      expect(listed('header', /./).sort()).toEqual(Object.values(header).sort());
    });

    test.each([
      ['publish', () => messageOf('a', 1, {}), () => messageOf('a', 1, { key: 'k', ttl: 5 })],
      ['retry', () => retried({}), () => retried(everything(), 5)],
      ['dead letter', () => deadLetter({}, 'text'), () => deadLetter(everything(), new UnrecoverableError('no'))],
    ])('stand on a %s as the table says', (column, least, most) => {
      expect(Object.keys(least().headers).sort()).toEqual(listed(column, always).sort());
      expect(Object.keys(most().headers).sort()).toEqual(listed(column, always, sometimes, kept).sort());
    });

    test('have the type that the table says', () => {
      const messages = [
        messageOf('a', 1, { key: 'k', ttl: 5 }),
        retried({}, 5),
        deadLetter({}, new UnrecoverableError('no')),
      ];
      const types = new Map(
        messages.flatMap(({ headers }) => Object.entries(headers)).map(([name, value]) => [name, typeof value]),
      );
      const documented = rows.map((row: Row) => [code(row.header), row.value === 'text' ? 'string' : row.value]);
      expect(Object.fromEntries(types)).toEqual(Object.fromEntries(documented));
    });

    test('that stand for dropped properties are named', () => {
      for (const name of [transportHeader.userId, transportHeader.expiration, transportHeader.cc]) {
        expect(document.section('Properties').text).toContain(`\`${name}\``);
      }
    });
  });

  test('a publish has exactly the documented properties, headers and bytes', () => {
    const [route, body, options] = documentedPublish();
    const to = { kind: 'route', route } as const;
    const message = messageOf(route, body, options);
    const { exchange, routingKey } = targetOf(to, names);
    const { headers, mandatory, persistent, ...properties } = encode(message, message.headers, to, true);
    expect({ mandatory, persistent }).toEqual({ mandatory: true, persistent: true });
    expect({
      exchange,
      routingKey,
      properties: { ...defined(properties), deliveryMode: 2 },
      headers,
      body: message.body.toString(),
    }).toEqual(golden);
    const content = contentHeader(
      exchange,
      routingKey,
      encode(message, message.headers, to, true),
      message.body.length,
    );
    expect(content.toString('hex') + message.body.toString('hex')).toBe(goldenHex);
  });

  test('every AMQP property that is written is listed', () => {
    const listed = document
      .section('Properties')
      .table()
      .map((row) => code(row.property).replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()));
    const message = messageOf('a', 1, { correlationId: 'c', replyTo: 'r' });
    const {
      headers: _headers,
      mandatory: _mandatory,
      persistent: _persistent,
      ...properties
    } = encode(message, message.headers, { kind: 'route', route: 'a' }, true);
    expect(listed.sort()).toEqual([...Object.keys(defined(properties)), 'deliveryMode'].sort());
  });

  describe('the exchanges and queues', () => {
    const section = document.section('Exchanges and queues');

    test('of a subscription have the documented names', () => {
      const { topology } = defineSubscription(
        { route: 'order.created' },
        {
          service: 'orders',
          instance: 'host-1',
          system: 'rabbitmq',
          provision: true,
          retry: {},
          middleware: [],
          maxDelayMs: 0,
        },
      );
      const operations = topologyOperations(topology, names, checkOptions({ exchange: 'events' }));
      expect(
        section
          .table()
          .map((row) => code(row.name))
          .sort(),
      ).toEqual(declared(operations));
      expect(operations).toContainEqual({
        kind: 'binding',
        queue: 'orders:order.created:dlq',
        exchange: 'events.dlx',
        key: 'orders:order.created:dlq',
      });
      expect(operations).toContainEqual({
        kind: 'binding',
        queue: 'orders:order.created:queue',
        exchange: 'events',
        key: 'order.created',
      });
    });

    test('of delays have the documented names', () => {
      const [queues] = delayBands([...Array(32).keys()], names);
      const levels = declared(queues);
      const rows = section.text
        .split('\n')
        .filter((line) => line.startsWith('| `events.d'))
        .slice(1);
      const cells = rows.map((row) => row.split('|')[1].trim());
      expect(cells).toEqual([
        '`events.delay`',
        `\`${names.delay}.3\` … \`${names.delay}.31\``,
        '`events.due`',
        '`events.due.unrouted`',
      ]);
      expect(declared(delayEnds(names))).toEqual(['events.delay', 'events.due', 'events.due.unrouted']);
      expect(levels.sort(byNumber)).toEqual(Array.from({ length: 29 }, (_, at) => `events.delay.${at + 3}`));
      expect(MAX_DELAY_MS).toBeGreaterThan(2 ** 31);
    });
  });
});

describeRabbit('docs/wire.md, read by a plain client', (rabbit) => {
  let plain: ChannelModel;
  let recorder: Recorder;

  beforeAll(async () => {
    const url = await rabbit.freshVhostUrl();
    plain = await connect(url);
    recorder = await Recorder.start(url);
  });
  afterEach(closeApplications);
  afterAll(async () => {
    await plain?.close();
    recorder?.close();
  });

  test('a publish is byte for byte what the document says', async () => {
    const channel = await plain.createChannel();
    await channel.assertExchange('events', 'topic', { durable: true });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'events', '#');
    const { get } = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'orders',
          clock,
          transport: rabbitmq({ url: recorder.url, exchange: 'events' }),
        }),
      ],
    });
    await get(Publisher).publish(...documentedPublish());

    const message = await channel.get(queue, { noAck: true });
    if (!message) throw new Error('nothing arrived');
    const { headers, ...properties } = message.properties;
    expect({
      exchange: message.fields.exchange,
      routingKey: message.fields.routingKey,
      properties: defined(properties),
      headers,
      body: message.content.toString(),
    }).toEqual(golden);
    const body = Buffer.from(golden.body);
    const content = Buffer.from(goldenHex, 'hex').subarray(0, -body.length);
    expect(recorder.said.includes(content)).toBe(true);
    expect(recorder.said.subarray(recorder.said.indexOf(content)).includes(body)).toBe(true);
    expect(get(Messaging).health().status).toBe('up');
  });
});

/** A foreign message, or one of ours, on its way to a handler. */
function delivery(headers: Headers, id = 'm'): Delivery {
  const message: WireMessage = { id, route: 'a', body: Buffer.from('1'), headers, properties: {} };
  return {
    message,
    queue: 'q',
    direct: true,
    topic: 't',
    raw: undefined,
    ack: () => undefined,
    release: () => undefined,
  };
}

function retried(headers: Headers, delayMs = 0): WireMessage {
  return copyToQueue(delivery(headers), 2, {
    now: clock.now(),
    delayMs,
    maxDelayMs: Infinity,
    suspect: delayMs > 0 ? 1 : 0,
  }).message;
}

function deadLetter(headers: Headers, error: unknown): WireMessage {
  const from = delivery(headers);
  return deadLetterCopy(
    {
      delivery: from,
      origin: originHeaders(from),
      attempt: 3,
      reason: 'unrecoverable',
      error,
      service: 's',
      now: clock.now(),
      stack: true,
    },
    'r',
  ).message;
}

/** All headers that a message can bring along. */
function everything(): Headers {
  const { headers } = messageOf('a', 1, { key: 'k', ttl: 5 });
  return { ...headers, [header.attempt]: 1, [header.notBefore]: 5 };
}

function declared(operations: readonly Operation[]): string[] {
  return [...new Set(operations.flatMap((operation) => ('name' in operation ? [operation.name] : [])))].sort();
}

function byNumber(a: string, b: string): number {
  return Number(a.split('.').at(-1)) - Number(b.split('.').at(-1));
}

function defined(values: object): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function methodsOf(of: Clock): Clock {
  return { now: () => of.now(), monotonic: () => of.monotonic(), after: (ms, callback) => of.after(ms, callback) };
}
