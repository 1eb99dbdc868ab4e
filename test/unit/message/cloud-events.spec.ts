import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { MessageProperties } from 'nestjs-messaging';
import { cloudEvents, type CloudEventsOptions, type Decoded } from 'nestjs-messaging/serializers';

const context = { id: 'A234-1234-1234', route: 'order.created', time: 1_900_000_000_000, headers: {} };
const source = 'https://example.com/orders';
const events = cloudEvents({ source });
const base = {
  specversion: '1.0',
  id: 'A234-1234-1234',
  source,
  type: 'order.created',
  time: '2030-03-17T17:46:40.000Z',
};

const read = (body: string, properties: MessageProperties, headers: object = {}, own = events): Decoded =>
  own.deserialize(Buffer.from(body), properties, { id: '', route: 'r', headers: headers as never }) as Decoded;
const json = 'application/cloudevents+json';
const structured = (event: object, contentType = `${json}; charset=utf-8`): Decoded =>
  read(JSON.stringify(event), { contentType });
const prefixed = (attributes: object, prefix: string): Record<string, string> =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`${prefix}${name}`, String(value)]));

describe('cloudEvents() writes', () => {
  const written = (payload: unknown, options: Partial<CloudEventsOptions> = {}, more: object = {}) => {
    const { body, ...rest } = cloudEvents({ source, ...options }).serialize(payload, { ...context, ...more });
    return { ...rest, body: body.toString() };
  };

  test.each([
    ['cloudEvents_', {}],
    ['ce_', {}],
    ['ce-', { 'ce-datacontenttype': 'application/json' }],
  ] as const)('binary events with headers that begin with %s', (prefix, more) => {
    const attributes = { partitionkey: 'k', correlationid: 'c', traceparent: '00-1' };
    const headers = { traceparent: '00-1', other: 1 };
    expect(written({ a: 1 }, { prefix }, { key: 'k', correlationId: 'c', headers })).toEqual({
      body: '{"a":1}',
      contentType: 'application/json',
      headers: { ...prefixed({ ...base, ...attributes }, prefix), ...more },
    });
  });

  test('structured events, with JSON, bytes, or no data', () => {
    const mode = 'structured';
    const contentType = `${json}; charset=utf-8`;
    const body = { ...base, datacontenttype: 'application/json', data: { a: 1 } };
    expect(written({ a: 1 }, { mode })).toEqual({ body: JSON.stringify(body), contentType });
    const bytes = { ...base, datacontenttype: 'application/octet-stream', data_base64: 'AP8=' };
    expect(written(Buffer.from([0, 255]), { mode })).toEqual({ body: JSON.stringify(bytes), contentType });
    expect(written(undefined, { mode })).toEqual({ body: JSON.stringify(base), contentType });
    expect(written(undefined)).toEqual({ body: '', headers: prefixed(base, 'cloudEvents_') });
  });

  test('what a contract says of its events', () => {
    const own = events.with({
      type: (_, route) => `com.acme.${route}`,
      subject: (payload) => (payload as { id: string }).id,
      dataschema: 'https://acme.com/order.json',
    });
    expect(own.serialize({ id: 'o-1' }, context).headers).toMatchObject({
      cloudEvents_type: 'com.acme.order.created',
      cloudEvents_subject: 'o-1',
      cloudEvents_dataschema: 'https://acme.com/order.json',
    });
  });

  test('on NATS what a header cannot hold is percent-encoded: the vector of the specification', () => {
    const { headers } = events.with({}).serialize(1, context);
    expect(headers).toBeDefined();
    const nats = cloudEvents({ source, prefix: 'ce-', subject: 'Euro € 😀 "100%"' }).serialize(1, context);
    expect(nats.headers!['ce-subject']).toBe('Euro%20%E2%82%AC%20%F0%9F%98%80%20%22100%25%22');
    expect(read('1', {}, nats.headers).fields.cloudEvent).toMatchObject({ subject: 'Euro € 😀 "100%"' });
  });

  test('nothing that breaks a rule', () => {
    expect(() => written(1, { subject: () => '' })).toThrow(/«subject» is a text that is not empty/);
    expect(() => written(1, { type: 'a\nb' })).toThrow(/«type»/);
    for (const options of [
      { source: '' },
      { source: 'a b' },
      { source, dataschema: 'relative' },
      { source, mode: 'x' },
    ])
      expect(() => cloudEvents(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

describe('cloudEvents() reads', () => {
  const event = { ...base, subject: 's', partitionkey: 'k', correlationid: 'c', count: 7, flag: true };

  test.each([
    ['structured, JSON', () => structured({ ...event, datacontenttype: 'application/json', data: { a: 1 } }), { a: 1 }],
    ['structured, capitals', () => structured({ ...event, data: [1] }, 'Application/CloudEvents+JSON'), [1]],
    ['structured, XML in a text', () => structured({ ...event, datacontenttype: 'text/xml', data: '<a/>' }), '<a/>'],
    ['structured, bytes', () => structured({ ...event, data_base64: 'AP8=' }), Buffer.from([0, 255])],
    ['structured, no data, and what is null is not there', () => structured({ ...event, dataschema: null }), undefined],
    ...['cloudEvents_', 'cloudEvents:', 'CLOUDEVENTS_', 'ce-', 'CE-', 'ce_'].map((prefix) => [
      `binary by ${prefix}`,
      () =>
        read(
          '{"a":1}',
          { contentType: 'application/json' },
          { ...prefixed(event, prefix), [`${prefix}count`]: 7, [`${prefix}flag`]: true },
        ),
      { a: 1 },
    ]),
    ['binary, no data', () => read('', {}, { ...prefixed(event, 'ce_'), ce_count: 7, ce_flag: true }), undefined],
    [
      'binary, a type of its own',
      () => read('x', { contentType: 'application/avro' }, { ...prefixed(event, 'ce_'), ce_count: 7, ce_flag: true }),
      Buffer.from('x'),
    ],
  ] as [string, () => Decoded, unknown][])('%s', (_, decode, payload) => {
    const { payload: data, fields } = decode();
    expect(data).toEqual(payload);
    expect(fields).toMatchObject({
      ...{ id: base.id, key: 'k', correlationId: 'c', time: context.time, sameAs: `${source} ${base.id}` },
      cloudEvent: event,
    });
    expect(fields.route).toBeUndefined();
  });

  test('what is no event as JSON, unless only events are accepted', () => {
    expect(read('{"a":1}', {})).toEqual({ a: 1 });
    expect(read('1', {}, { 'ce-id': 'one of ours', cloudEvents_type: 'x' })).toBe(1);
    const only = cloudEvents({ source, accept: 'cloudevents' });
    expect(() => read('1', {}, {}, only)).toThrow(/neither the content type nor the headers/);
  });

  test.each<[string, () => unknown, RegExp]>([
    ['another version', () => structured({ ...base, specversion: '0.3' }), /«specversion» is «1.0», and not «0.3»/],
    ['no version', () => structured({ ...base, specversion: undefined }), /«specversion»/],
    ['no id', () => structured({ ...base, id: undefined }), /«id» is required/],
    ['an empty id', () => structured({ ...base, id: '' }), /«id» is a text that is not empty/],
    ['no source', () => read('1', {}, { ...prefixed(base, 'ce-'), 'ce-source': undefined }), /«source» is required/],
    ['no type', () => read('1', {}, { ...prefixed(base, 'ce_'), ce_type: null }), /«type» is required/],
    ['a number for an id', () => structured({ ...base, id: 7 }), /«id» is a text/],
    ['a source with spaces', () => structured({ ...base, source: 'a b' }), /«source» is a URI/],
    ['a wrong time', () => structured({ ...base, time: 'yesterday' }), /«time» is a time of RFC 3339/],
    ['a month 13', () => structured({ ...base, time: '2030-13-01T00:00:00Z' }), /«time»/],
    ['a relative dataschema', () => structured({ ...base, dataschema: 'x' }), /«dataschema» is an absolute URI/],
    ['both kinds of data', () => structured({ ...base, data: 1, data_base64: 'AA==' }), /«data» and «data_base64»/],
    ['base64 that is none', () => structured({ ...base, data_base64: '*' }), /«data_base64» is a text in base64/],
    ['a name in capitals', () => structured({ ...base, fooBar: 1 }), /names of attributes.*«fooBar»/],
    [
      'an object as an extension',
      () => structured({ ...base, foo: {} }),
      /«foo» is a text, a boolean or a whole number/,
    ],
    ['more than 32 bits as an extension', () => structured({ ...base, foo: 2 ** 31 }), /«foo»/],
    ['a fraction as an extension', () => structured({ ...base, foo: 1.5 }), /«foo»/],
    ['a lone surrogate', () => read('{"specversion":"1.0","id":"\\ud800"}', { contentType: json }), /required|«id»/],
    ['a list', () => read('[]', { contentType: json }), /no JSON object/],
    ['a batch', () => read('[]', { contentType: 'application/cloudevents-batch+json' }), /format.*not known/],
    ['another format', () => read('', { contentType: 'application/cloudevents+avro' }), /format.*not known/],
    ['no JSON', () => read('{', { contentType: json }), /not JSON/],
    [
      'no UTF-8 behind the percent signs',
      () => read('1', {}, { ...prefixed(base, 'ce-'), 'ce-subject': '%C3%28' }),
      /«subject» is not/,
    ],
    [
      'a percent sign alone',
      () => read('1', {}, { ...prefixed(base, 'ce-'), 'ce-subject': '100%' }),
      /«subject» is not/,
    ],
  ])('%s is undecodable, and the error says the rule', (_, decode, message) => {
    expect(decode).toThrow(
      expect.objectContaining({ code: 'UNDECODABLE', message: expect.stringMatching(message) as unknown }),
    );
  });

  test('the names that JavaScript has of its own are no attributes', () => {
    const body = `{"specversion":"1.0","id":"1","source":"/s","type":"t","__proto__":{"id":"2"}}`;
    expect(() => read(body, { contentType: json })).toThrow(/__proto__/);
    expect(read('1', {}, { ce___proto__: { ...base } })).toBe(1);
  });
});

test('docs/wire.md shows an event in both modes as it is written', () => {
  const section = readFileSync('docs/wire.md', 'utf8').split('## CloudEvents\n')[1];
  const [headers, body] = [...section.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => text.trim());
  const publish = { ...context, id: 'order-1', key: 'customer-7', correlationId: 'c-1' };
  const write = (mode: 'binary' | 'structured') =>
    cloudEvents({ source: '/orders', mode }).serialize({ item: 'book', quantity: 2 }, publish);
  expect(write('binary').headers).toEqual(JSON.parse(headers));
  expect(write('structured').body.toString()).toBe(body);
});
