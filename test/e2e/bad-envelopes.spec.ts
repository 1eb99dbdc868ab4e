import { randomUUID } from 'node:crypto';
import { afterEach, expect, jest, test } from '@jest/globals';
import { DeadLetters, MessagingModule, Publisher, type TransportFactory } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { cloudEvents, Decoded, nestEnvelope, type Serializer } from 'nestjs-messaging/serializers';
import { describeKafka } from '../brokers/kafka.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

jest.setTimeout(120_000);
afterEach(closeApplications);

/** The body says all that a body can say. */
const saying: Serializer = {
  serialize: (fields) => ({ body: Buffer.from(JSON.stringify(fields)), contentType: 'application/json' }),
  deserialize: (body) => new Decoded('payload', JSON.parse(body.toString()) as object),
};
const asEvent: Serializer = {
  serialize: (event) => ({ body: Buffer.from(JSON.stringify(event)), contentType: 'application/cloudevents+json' }),
  deserialize: (body) => body,
};
const event = { specversion: '1.0', id: '1', source: '/s', type: 't' };

/** What breaks a rule, by the rule that its dead letter has to name. */
const BAD: Readonly<Record<string, readonly [string, unknown][]>> = {
  saying: [
    ['«route», a number', { route: 7 }],
    ['«id», an object', { id: {} }],
    ['«key», an array', { key: [] }],
    ['«time», a text', { time: 'now' }],
    ['«headers», a text', { headers: 'none' }],
    ['«correlationId», a boolean', { correlationId: true }],
    ['«replyTo», a number', { replyTo: 5 }],
  ],
  nest: [
    ['wrong «pattern», an array', { pattern: [], data: 1 }],
    ['wrong «pattern», null', { pattern: null, data: 1 }],
  ],
  events: [
    ['«specversion» is «1.0»', { ...event, specversion: 1 }],
    ['«id» is required', { ...event, id: undefined }],
    ['«type» is a text that is not empty', { ...event, type: '' }],
    ['«time» is a time of RFC 3339', { ...event, time: 'yesterday' }],
    ['«data» and «data_base64» exclude each other', { ...event, data: 1, data_base64: 'AA==' }],
    ['«extension» is a text, a boolean or a whole number', { ...event, extension: {} }],
  ],
};

function suite(open: () => Promise<() => TransportFactory>): void {
  test('each is a dead letter that names the rule, and what is good behind it is handled: nothing is lost', async () => {
    const transport = await open();
    const service = `bad-${randomUUID().slice(0, 8)}`;
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service, transport: transport() })],
    });
    const handled: string[] = [];
    const readers = { saying, nest: nestEnvelope(), events: cloudEvents({ source: '/s' }) };
    const writers = { saying, nest: undefined, events: asEvent };
    const good = { saying: { id: 'good' }, nest: { pattern: 'p', data: 1 }, events: event };
    for (const kind of ['saying', 'nest', 'events'] as const) {
      const route = `${service}.${kind}`;
      await messaging.subscribe({ route, serializer: readers[kind] }, () => void handled.push(kind));
      const serializer = writers[kind] && { serializer: writers[kind] };
      for (const [at, [, body]] of BAD[kind].entries())
        await get(Publisher).publish(route, body, { id: `${kind}-${at}`, ...serializer });
      await get(Publisher).publish(route, good[kind], { id: `${kind}-good`, ...serializer });
    }
    const all = Object.entries(BAD).flatMap(([kind, list]) =>
      list.map(([rule], at) => ({ id: `${kind}-${at}`, rule })),
    );
    await waitFor(() => handled.length === 3, 'what is good', 60_000);
    await waitFor(async () => (await messaging.deadLetters.count()) === all.length, 'the dead letters', 60_000);
    expect(handled.sort()).toEqual(['events', 'nest', 'saying']);
    const letters = new Map((await get(DeadLetters).list({}, { limit: 100 })).map((letter) => [letter.id, letter]));
    for (const { id, rule } of all) {
      expect(letters.get(id)).toMatchObject({ id, reason: 'undecodable', attempts: 1 });
      expect(letters.get(id)!.error.message).toContain(rule);
    }
  });
}

describeAllBrokers('A body that breaks a rule', (fresh) => suite(fresh));
describeKafka('A body that breaks a rule', (server) =>
  suite(async () => {
    const brokers = await server.url();
    const topic = `bad-${randomUUID()}`;
    return () => kafka({ brokers, topic, partitions: 1 });
  }),
);
