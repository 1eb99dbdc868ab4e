import { connect as connectAmqp } from 'amqplib';
import { jetstream } from '@nats-io/jetstream';
import { headers as natsHeaders } from '@nats-io/transport-node';
import { afterEach, expect, test } from '@jest/globals';
import { type MessageContext, MessagingModule, Publisher, type TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { cloudEvents, type CloudEventsOptions } from 'nestjs-messaging/serializers';
import { describeNats } from '../brokers/nats.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { closePlain, connectPlain } from '../nats/plain.js';
import { boot, closeApplications } from './support/application.js';

/** A message as a plain client writes and reads it. */
interface Plain {
  readonly contentType?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Peer {
  readonly factory: TransportFactory;
  publish(message: Plain): Promise<void>;
  /** What comes by the route `reading.taken`, from now on. */
  received(): Promise<Plain[]>;
  close(): Promise<void>;
}

const WITHIN = 30_000;
const STRUCTURED = 'application/cloudevents+json; charset=utf-8';
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await closeApplications();
  await Promise.all(closing.splice(0).map((close) => close()));
});

describeRabbit('the binding of AMQP', (rabbit) =>
  suite(
    { prefix: 'cloudEvents_' },
    'cloudEvents:',
    (text) => text,
    {},
    async () => {
      const url = await rabbit.freshVhostUrl();
      const connection = await connectAmqp(url);
      const channel = await connection.createConfirmChannel();
      return {
        factory: rabbitmq({ url, exchange: 'events' }),
        async publish({ contentType, headers, body }) {
          channel.publish('events', 'reading.taken', Buffer.from(body), {
            ...(contentType !== undefined && { contentType }),
            headers,
          });
          await channel.waitForConfirms();
        },
        async received() {
          const seen: Plain[] = [];
          const { queue } = await channel.assertQueue('plain', { durable: true });
          await channel.bindQueue(queue, 'events', 'reading.taken');
          await channel.consume(queue, (message) => {
            const { contentType, headers = {} } = message!.properties as {
              contentType?: string;
              headers?: Record<string, string>;
            };
            seen.push({ contentType, headers, body: message!.content.toString() });
          });
          return seen;
        },
        close: () => connection.close(),
      };
    },
  ),
);

// Percent-encoded as the rules of the binding have it: the space, the quote, the percent sign, and what is outside of ASCII.
const encoded = (text: string): string =>
  text.replace('ä', '%C3%A4').replaceAll(' ', '%20').replaceAll('"', '%22').replace('100%', '100%25');

describeNats('the binding of NATS', (server) =>
  suite({ prefix: 'ce-' }, 'CE-', encoded, { 'ce-datacontenttype': 'application/json' }, async () => {
    const servers = await server.url();
    const connection = await connectPlain(servers);
    return {
      factory: nats({ servers, syncAlways: true }),
      async publish({ contentType, headers, body }) {
        const lines = natsHeaders();
        if (contentType !== undefined) lines.set('Content-Type', contentType);
        for (const [name, value] of Object.entries(headers)) lines.set(name, value);
        await jetstream(connection).publish('events.reading.taken', body, { headers: lines });
      },
      async received() {
        const seen: Plain[] = [];
        connection.subscribe('events.reading.taken', {
          callback: (_, message) => {
            const lines = message.headers!;
            const headers = Object.fromEntries(lines.keys().map((name) => [name, lines.get(name)]));
            seen.push({ contentType: lines.get('Content-Type') || undefined, headers, body: message.string() });
          },
        });
        await connection.flush();
        return seen;
      },
      close: closePlain,
    };
  }),
);

function suite(
  form: Pick<CloudEventsOptions, 'prefix'>,
  /** Another way to write the prefix, which has to be read as well. */
  otherPrefix: string,
  encode: (text: string) => string,
  more: Readonly<Record<string, string>>,
  open: () => Promise<Peer>,
): void {
  const subject = 'Zähler "7" 100%';
  const attributes = { specversion: '1.0', id: 'A-1', source: '/meters/7', type: 'reading.taken', subject };
  const binary = (prefix: string, of: Record<string, string> = attributes): Record<string, string> =>
    Object.fromEntries(Object.entries(of).map(([name, value]) => [prefix + name, encode(value)]));

  async function begin(peer: Peer) {
    closing.push(() => peer.close());
    const application = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'meters',
          retry: false,
          transport: peer.factory,
          serializer: cloudEvents({ source: '/meters/7', subject, accept: 'cloudevents', ...form }),
        }),
      ],
    });
    const seen: object[] = [];
    await application.messaging.subscribe({ route: 'reading.taken' }, (data, { cloudEvent, id }: MessageContext) => {
      seen.push({ data, id, subject: cloudEvent?.subject, source: cloudEvent?.source });
    });
    return { ...application, seen };
  }

  test('what is published a plain client reads as the binding has it, binary and structured', async () => {
    const peer = await open();
    const { get } = await begin(peer);
    const received = await peer.received();
    const structured = cloudEvents({ source: '/meters/7', subject, mode: 'structured' });
    await get(Publisher).publish('reading.taken', { kWh: 3 }, { id: 'A-1' });
    await get(Publisher).publish('reading.taken', { kWh: 3 }, { id: 'A-1', serializer: structured });
    await waitFor(() => received.length === 2, 'two messages', WITHIN);
    const [first, second] = received;
    expect(first).toMatchObject({
      contentType: 'application/json',
      headers: { ...binary(form.prefix!), ...more },
      body: '{"kWh":3}',
    });
    expect(second.contentType).toBe(STRUCTURED);
    expect(JSON.parse(second.body)).toMatchObject({
      ...attributes,
      datacontenttype: 'application/json',
      data: { kWh: 3 },
    });
    expect(
      Object.keys(second.headers).filter((name) => name.toLowerCase().startsWith(form.prefix!.toLowerCase())),
    ).toEqual([]);
  });

  test('what a plain client writes is handled, binary and structured; what breaks a rule is a dead letter with its name', async () => {
    const peer = await open();
    const { messaging, seen } = await begin(peer);
    const body = '{"kWh":3}';
    const contentType = 'application/json';
    await peer.publish({ contentType, headers: binary(form.prefix!), body });
    await peer.publish({ contentType, headers: binary(otherPrefix, { ...attributes, id: 'A-2' }), body });
    await peer.publish({
      contentType: STRUCTURED,
      headers: {},
      body: JSON.stringify({ ...attributes, id: 'A-3', data: { kWh: 3 } }),
    });
    await peer.publish({ headers: binary(form.prefix!, { ...attributes, id: 'A-4' }), body: '' });
    await waitFor(() => seen.length === 4, 'four events', WITHIN);
    const told = { subject, source: '/meters/7' };
    expect(seen).toEqual(
      ['A-1', 'A-2', 'A-3', 'A-4'].map((id) => ({ id, data: id === 'A-4' ? undefined : { kWh: 3 }, ...told })),
    );
    const { type: _, ...lacking } = attributes;
    await peer.publish({ contentType, headers: binary(form.prefix!, lacking), body });
    await peer.publish({
      contentType: STRUCTURED,
      headers: {},
      body: JSON.stringify({ ...attributes, specversion: '0.3' }),
    });
    await peer.publish({
      contentType: STRUCTURED,
      headers: {},
      body: JSON.stringify({ ...attributes, data: 1, data_base64: 'AA==' }),
    });
    await waitFor(async () => (await messaging.deadLetters.count()) === 3, 'three dead letters', WITHIN);
    const letters = await messaging.deadLetters.list();
    expect(letters.map(({ reason }) => reason)).toEqual(['undecodable', 'undecodable', 'undecodable']);
    const rules = letters.map(({ error }) => error.message).join('\n');
    for (const rule of ['«type» is required', '«specversion» is «1.0»', '«data» and «data_base64» exclude each other'])
      expect(rules).toContain(rule);
  });
}
