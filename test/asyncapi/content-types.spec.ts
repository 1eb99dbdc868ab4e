import { describe, expect, test } from '@jest/globals';
import { message } from 'nestjs-messaging';
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

  test('another serializer is another body: a change that breaks both sides', async () => {
    const documentWith = (serializer?: Serializer): Promise<unknown> =>
      documentOf([], { publishes: [message('order', schema)] }, undefined, serializer);
    const changes = compareDocuments(
      await documentWith(),
      await documentWith(cloudEvents({ source: '/shop', mode: 'structured' })),
    );
    expect(changes).toContainEqual(expect.objectContaining({ verdict: 'breaks', id: 'send order order content type' }));
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
