import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import { DeadLetters, type MessageContext, MessagingModule, Publisher } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { cloudEvents } from 'nestjs-messaging/serializers';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { npmFolderBesideBrokers } from '../brokers/npm-folder.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { plain } from './admin.js';

jest.setTimeout(120_000);

/** Of the SDK of CloudEvents. */
interface Sdk {
  CloudEvent: new (event: object) => { cloneWith(more: object): object };
  Kafka: {
    binary(event: object): { headers: IHeaders; value: unknown; key?: string };
    structured(event: object): { headers: IHeaders; value: string; key?: string };
    isEvent(message: object): boolean;
    toEvent(message: object): Record<string, unknown>;
  };
}

const { folder } = npmFolderBesideBrokers('cloudevents-sdk', resolve(__dirname, 'cloud-events-sdk'));
const sdk = folder === undefined ? undefined : (createRequire(join(folder, 'package.json'))('cloudevents') as Sdk);

/** What the binding of Kafka says of an event, with characters that other bindings encode. */
const subject = 'Zähler "7" 100%';
const attributes = { specversion: '1.0', id: 'A-1', source: '/meters/7', type: 'reading.taken', subject };
const prefixed = (of: object): IHeaders =>
  Object.fromEntries(Object.entries(of).map(([name, value]) => [`ce_${name}`, String(value)]));
/** The SDK names what an event does not have, too. */
const withoutUndefined = (headers: IHeaders): IHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
const json = { 'content-type': 'application/json' };
const STRUCTURED = 'application/cloudevents+json; charset=utf-8';

describeKafka('the binding of CloudEvents to Kafka', (broker) => {
  let server: KafkaServer;
  let topics = 0;
  let topic: string;
  const withSdk = sdk === undefined ? test.skip : test;

  beforeAll(async () => {
    server = await broker.start();
  });
  afterEach(closeApplications);

  async function start(): Promise<Application & { seen: object[] }> {
    topic = `events-${++topics}`;
    const transport = kafka({ brokers: server.url, topic, partitions: 1 });
    const serializer = cloudEvents({ source: '/meters/7', subject, prefix: 'ce_' });
    const application = await boot({
      imports: [MessagingModule.forRoot({ service: 'meters', retry: false, transport, serializer })],
    });
    const seen: object[] = [];
    await application.messaging.subscribe(
      { name: 'readings', route: '#' },
      (data, { cloudEvent, id, key }: MessageContext) =>
        void seen.push({ id, key, data, type: cloudEvent?.type, subject: cloudEvent?.subject }),
    );
    return Object.assign(application, { seen });
  }

  async function send(...messages: Message[]): Promise<void> {
    const producer = plain(server).producer();
    await producer.connect();
    await producer.send({ topic, messages });
    await producer.disconnect();
  }

  /** The first records of the topic, with their headers as texts. */
  async function records(count: number): Promise<{ key?: string; value: string; headers: Record<string, string> }[]> {
    const consumer = plain(server).consumer({ groupId: `${topic}-reader` });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const found: KafkaMessage[] = [];
    await consumer.run({ eachMessage: async ({ message }) => void found.push(message) });
    await waitFor(() => found.length >= count, 'the records', 60_000);
    await consumer.disconnect();
    return found.map(({ key, value, headers = {} }) => ({
      ...(key && { key: key.toString() }),
      value: value!.toString(),
      headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, String(text)])),
    }));
  }

  test('what is published is as the binding has it, binary and structured, and the SDK reads both', async () => {
    const { get } = await start();
    const structured = cloudEvents({ source: '/meters/7', subject, mode: 'structured' });
    await get(Publisher).publish('reading.taken', { kWh: 3 }, { id: 'A-1', key: 'meter-7' });
    await get(Publisher).publish('reading.taken', { kWh: 3 }, { id: 'A-1', key: 'meter-7', serializer: structured });
    const [first, second] = await records(2);
    expect(first).toMatchObject({
      ...{ key: 'meter-7', value: '{"kWh":3}' },
      headers: { ...json, ...prefixed({ ...attributes, partitionkey: 'meter-7' }) },
    });
    expect(second).toMatchObject({ key: 'meter-7', headers: { 'content-type': STRUCTURED } });
    expect(Object.keys(second.headers).filter((name) => name.startsWith('ce_'))).toEqual([]);
    const whole = { ...attributes, partitionkey: 'meter-7', datacontenttype: 'application/json' };
    expect(JSON.parse(second.value)).toMatchObject({ ...whole, data: { kWh: 3 } });
    if (!sdk) return;
    for (const record of [first, second]) {
      expect(sdk.Kafka.isEvent(record)).toBe(true);
      const { data, ...read } = sdk.Kafka.toEvent(record);
      expect(read).toMatchObject(whole);
      expect(typeof data === 'string' ? JSON.parse(data) : data).toEqual({ kWh: 3 });
    }
  });

  withSdk('what the SDK writes is handled, binary and structured, with its key', async () => {
    const { seen } = await start();
    const { CloudEvent, Kafka } = sdk!;
    const event = new CloudEvent({ ...attributes, ...{ partitionkey: 'meter-7', datacontenttype: 'application/json' }, data: { kWh: 3 } }); // prettier-ignore
    const binary = Kafka.binary(event);
    const structured = Kafka.structured(event.cloneWith({ id: 'A-2' }));
    for (const { headers, key, value } of [{ ...binary, value: JSON.stringify(binary.value) }, structured])
      await send({ headers: withoutUndefined(headers), value, ...(key !== undefined && { key }) });
    await waitFor(() => seen.length === 2, 'two events', 60_000);
    const told = { key: 'meter-7', data: { kWh: 3 }, type: 'reading.taken', subject };
    expect(seen).toEqual(['A-1', 'A-2'].map((id) => ({ id, ...told })));
  });

  test('an event without data is one; a tombstone is none, and it is not lost: nor is what breaks a rule', async () => {
    const { get, messaging, seen } = await start();
    const { type: _, ...lacking } = attributes;
    await send(
      { key: 'gone', value: null },
      { headers: { ...json, ...prefixed(lacking) }, value: '{"kWh":3}' },
      { headers: { 'content-type': STRUCTURED }, value: JSON.stringify({ ...attributes, specversion: '0.3' }) },
      { headers: { 'content-type': STRUCTURED }, value: null },
      { headers: { ...json, ...prefixed(attributes), ce_time: ['2030-01-01T00:00:00Z', 'x'] }, value: '{}' },
      { headers: prefixed({ ...attributes, id: 'A-2' }), value: null },
      { value: '{"plain":true}' },
    );
    await waitFor(() => seen.length === 2, 'what is good', 60_000);
    expect(seen).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: 'A-2', data: undefined, type: 'reading.taken' }),
        expect.objectContaining({ data: { plain: true }, type: undefined }),
      ]),
    );
    await waitFor(async () => (await messaging.deadLetters.count()) === 5, 'five dead letters', 60_000);
    const letters = await get(DeadLetters).list();
    expect(letters.map(({ reason }) => reason)).toEqual(Array(5).fill('undecodable'));
    const tombstones = letters.filter(({ error }) => error.message.includes('not JSON'));
    expect(tombstones.map(({ headers, body }) => [headers['messaging-key'], body.length])).toContainEqual(['gone', 0]);
    expect(tombstones).toHaveLength(2);
    const rules = letters.map(({ error }) => error.message).join('\n');
    for (const rule of ['«type» is required', '«specversion» is «1.0»', '«time» is a text'])
      expect(rules).toContain(rule);
  });
});
