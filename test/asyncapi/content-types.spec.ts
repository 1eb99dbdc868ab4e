import { describe, expect, test } from '@jest/globals';
import { message, Subscribe } from 'nestjs-messaging';
import { cloudEvents, nestEnvelope } from 'nestjs-messaging/serializers';
import { z } from 'zod';
import { compareDocuments } from '../../lib/asyncapi/document-comparison.js';
import { jsonSerializer, type Serializer } from '../../lib/message/serializer.js';
import { documentOf } from './document-of.js';
import { describeWithTools } from './tools.js';

const schema = z.object({ item: z.string() });
const context = { id: 'a', route: 'order', time: 1_790_000_000_000, headers: {} };
const own: Serializer = { serialize: () => ({ body: Buffer.alloc(0) }), deserialize: () => undefined };

/** The message of a route whose contract, or connection, has this serializer. */
async function messageOf(serializer: Serializer | undefined, of?: Serializer): Promise<any> {
  const publishes = [message('order', schema, serializer && { serializer })];
  const { components } = await documentOf([], { publishes }, undefined, of);
  return components.messages.order;
}

describe('what travels is said of each message, by what writes it', () => {
  test('JSON, where nothing is said', async () => {
    const { contentType, payload } = await messageOf(undefined);
    expect({ contentType, payload }).toEqual({
      contentType: 'application/json',
      payload: { $ref: '#/components/schemas/order' },
    });
  });

  test('a contract can have another serializer than its connection', async () => {
    const structured = cloudEvents({ source: '/shop', mode: 'structured' });
    expect((await messageOf(undefined, structured)).contentType).toBe('application/cloudevents+json; charset=utf-8');
    expect((await messageOf(jsonSerializer, structured)).contentType).toBe('application/json');
  });

  test('a binary event has its attributes as headers, beside ours', async () => {
    const { contentType, payload, headers } = await messageOf(cloudEvents({ source: '/shop', prefix: 'ce_' }));
    expect({ contentType, payload }).toMatchObject({
      contentType: 'application/json',
      payload: { $ref: '#/components/schemas/order' },
    });
    expect(headers.allOf).toEqual([
      { $ref: '#/components/schemas/nestjs-messaging-headers' },
      expect.objectContaining({ required: ['ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_time'] }),
    ]);
  });

  test('of a serializer that does not say it, no content type is claimed', async () => {
    const told = await messageOf(own);
    expect(told).not.toHaveProperty('contentType');
    expect(told.payload).toEqual({ $ref: '#/components/schemas/order' });
  });

  const structured = cloudEvents({ source: '/shop', mode: 'structured' });
  const binary = cloudEvents({ source: '/shop' });
  const onKafka = cloudEvents({ source: '/shop', prefix: 'ce_' });
  const onlyEvents = cloudEvents({ source: '/shop', accept: 'cloudevents' });
  /** What changes, and the verdicts on what is sent and on what is received. */
  const CHANGES: readonly (readonly [string, Serializer | undefined, Serializer | undefined, string, string])[] = [
    ['nothing', undefined, jsonSerializer, 'ok', 'ok'],
    ['JSON to structured events, which read JSON', undefined, structured, 'breaks', 'ok'],
    ['structured events to JSON, which reads no events', structured, undefined, 'breaks', 'breaks'],
    ['structured to binary events: both are read', structured, binary, 'breaks', 'ok'],
    ['binary to structured events: both are read', binary, structured, 'breaks', 'ok'],
    ['JSON to binary events: the body is the same', undefined, binary, 'ok', 'ok'],
    ['binary events to JSON: their headers are gone', binary, undefined, 'breaks', 'breaks'],
    ['other names of headers, all of which are read', binary, onKafka, 'breaks', 'ok'],
    ['JSON to events alone', undefined, onlyEvents, 'ok', 'breaks'],
    ['JSON is not read beside events any more', binary, onlyEvents, 'ok', 'breaks'],
    ['JSON is read beside events from now on', onlyEvents, binary, 'ok', 'ok'],
    ['JSON to the form of Nest, which reads both', undefined, nestEnvelope(), 'breaks', 'ok'],
    ['the form of Nest to JSON', nestEnvelope(), undefined, 'breaks', 'breaks'],
    ['JSON to what does not say it', undefined, own, 'breaks', 'breaks'],
  ];

  test.each(CHANGES)('%s', async (_, before, after, sent, received) => {
    const worst = async (options: (serializer?: Serializer) => Promise<any>): Promise<string> => {
      const verdicts = compareDocuments(await options(before), await options(after)).map(({ verdict }) => verdict);
      return ['breaks', 'unknown', 'warns'].find((one) => verdicts.includes(one as never)) ?? 'ok';
    };
    const contract = message('order', schema);
    class Handlers {
      @Subscribe(contract)
      handle(): void {}
    }
    expect({
      sent: await worst((serializer) => documentOf([], { publishes: [contract] }, undefined, serializer)),
      received: await worst((serializer) => documentOf([Handlers], {}, undefined, serializer)),
    }).toEqual({ sent, received });
  });
});

describeWithTools('what is written, held against what is said of it', (load) => {
  const serializers = {
    json: jsonSerializer,
    'binary events': cloudEvents({ source: '/shop' }),
    'events as on NATS': cloudEvents({ source: '/shop', prefix: 'ce-' }),
    'structured events': cloudEvents({ source: '/shop', mode: 'structured' }),
    'the form of Nest': nestEnvelope(),
  };

  test.each(Object.entries(serializers))('%s', async (_, serializer) => {
    const Ajv = load<any>('ajv').default;
    const ajv = new Ajv({ strict: false, logger: false });
    const { components } = await documentOf([], { publishes: [message('order', schema)] }, undefined, serializer);
    const told = components.messages.order;
    const accepts = (part: object, value: unknown): boolean => ajv.validate({ ...part, components }, value);
    const { body, contentType, headers = {} } = serializer.serialize({ item: 'book' }, context);
    expect(contentType).toBe(told.contentType);
    const written = JSON.parse(body.toString());
    expect(accepts(told.payload.$ref ? { allOf: [told.payload] } : told.payload, written)).toBe(true);
    expect(accepts({ allOf: [told.headers] }, headers)).toBe(true);
    const wrong = JSON.parse(serializer.serialize({ item: 1 }, context).body.toString());
    expect(accepts(told.payload.$ref ? { allOf: [told.payload] } : told.payload, wrong)).toBe(false);
  });

  test('replies in the form of Nest', async () => {
    const Ajv = load<any>('ajv').default;
    const { replies } = nestEnvelope();
    const error = { type: 'object', required: ['code'] };
    const { body: told } = replies!.describe!('order', { type: 'integer' }, error);
    const accepts = new Ajv({ strict: false, logger: false }).compile(told);
    const written = (...reply: Parameters<NonNullable<typeof replies>['serialize']>): unknown =>
      JSON.parse(replies!.serialize(...reply).body.toString());
    expect(accepts(written({ value: 1 }, context))).toBe(true);
    expect(accepts(written({ error: { code: 'A', message: 'b', retryable: false } }, context))).toBe(true);
    expect(accepts({ response: 'x', isDisposed: true })).toBe(false);
  });
});
