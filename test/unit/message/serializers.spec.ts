import { describe, expect, test } from '@jest/globals';
import { type MessageProperties, jsonSerializer } from 'nestjs-messaging';
import { Decoded, type DecodedFields, json, nestEnvelope, type Serializer } from 'nestjs-messaging/serializers';

const to = { id: 'm-1', route: 'ours.evt', time: 0, headers: {} };
const read = (serializer: Serializer, body: string, properties: MessageProperties = {}, id = ''): unknown =>
  serializer.deserialize(Buffer.from(body), properties, { id, route: 'queue', headers: {} });

describe('what is decoded beside the payload', () => {
  test.each<[keyof DecodedFields, unknown]>([
    ...(['route', 'id', 'key', 'correlationId', 'replyTo', 'sameAs'] as const).flatMap((name) =>
      [1, '', {}, null, 'a\nb', 'x'.repeat(5_000)].map((value): [keyof DecodedFields, unknown] => [name, value]),
    ),
    ...[-1, 1.5, NaN, '0', new Date(0)].map((value): [keyof DecodedFields, unknown] => ['time', value]),
    ...[1, [], 'a', new Map(), null].map((value): [keyof DecodedFields, unknown] => ['headers', value]),
  ])('a wrong «%s» (%j) is undecodable, and the error names it', (name, value) => {
    expect(() => new Decoded(1, { [name]: value })).toThrow(
      expect.objectContaining({ code: 'UNDECODABLE', message: expect.stringContaining(`«${name}»`) as unknown }),
    );
  });
});

describe('json({ allowEmpty })', () => {
  const empty = json({ allowEmpty: true });

  test('an empty body is undefined, with the content type of JSON or with none, and the other way round', () => {
    for (const contentType of [
      undefined,
      '',
      'application/json',
      'Application/JSON; charset=utf-8',
      'application/a+json',
    ])
      expect(read(empty, '', { contentType })).toBeUndefined();
    expect(empty.serialize(undefined, to)).toEqual({ body: Buffer.alloc(0) });
  });

  test('what is empty and is no JSON, and what is not empty, is as ever', () => {
    expect(read(empty, '', { contentType: 'application/octet-stream' })).toEqual(Buffer.alloc(0));
    expect(read(empty, '', { contentType: 'text/plain' })).toBe('');
    expect(read(empty, '{"a":1}')).toEqual({ a: 1 });
    expect(() => read(empty, ' ')).toThrow(/not JSON/);
    expect(empty.serialize({ a: 1 }, to)).toEqual(jsonSerializer.serialize({ a: 1 }));
  });

  test('without it an empty body is undecodable, as by default', () => {
    expect(json()).toBe(jsonSerializer);
    expect(() => read(jsonSerializer, '')).toThrow(/not JSON/);
    expect(() => json({ allowEmpty: 'yes' as never })).toThrow(/json.allowEmpty/);
    expect(() => json({ empty: true } as never)).toThrow(/allowEmpty/);
  });
});

describe('nestEnvelope()', () => {
  const written = (payload: unknown, more: object = {}, serializer = nestEnvelope()): string =>
    serializer.serialize(payload, { ...to, ...more }).body.toString();

  test('writes an event, and a request where an answer is wanted', () => {
    expect(written({ a: 1 })).toBe('{"pattern":"ours.evt","data":{"a":1}}');
    expect(written(undefined)).toBe('{"pattern":"ours.evt"}');
    expect(written(1, { replyTo: 'q' })).toBe('{"pattern":"ours.evt","data":1,"id":"m-1"}');
    expect(written(1, { replyTo: 'q', correlationId: 'c' })).toBe('{"pattern":"ours.evt","data":1,"id":"c"}');
    expect(written(1, { correlationId: 'c' })).toBe('{"pattern":"ours.evt","data":1}');
    const sum = nestEnvelope({ pattern: '{"cmd":"sum"}' });
    expect(written([1, 2], {}, sum)).toBe('{"pattern":"{\\"cmd\\":\\"sum\\"}","data":[1,2]}');
    expect(nestEnvelope().serialize(1, to).contentType).toBe('application/json');
    expect(() => written(new Map())).toThrow(/Map/);
  });

  test.each<[string, string, unknown, DecodedFields]>([
    ['an event', '{"pattern":"a.b","data":{"x":1}}', { x: 1 }, { route: 'a.b' }],
    ['an event without data', '{"pattern":"a.b"}', undefined, { route: 'a.b' }],
    ['a request', '{"pattern":"a","data":1,"id":"r"}', 1, { route: 'a', id: 'r', correlationId: 'r' }],
    ['a pattern that is a number', '{"pattern":7,"data":1}', 1, { route: '7' }],
    [
      'a pattern that is an object, whatever the order of its names',
      '{"pattern":{"b":{"d":1,"c":2},"a":"x"},"data":null}',
      null,
      { route: '{"a":"x","b":{"c":2,"d":1}}' },
    ],
  ])('reads %s', (_, body, payload, fields) => {
    const decoded = read(nestEnvelope(), body) as Decoded;
    expect(decoded).toBeInstanceOf(Decoded);
    expect({ payload: decoded.payload, fields: decoded.fields }).toEqual({ payload, fields });
  });

  test('the ids that came with the message stay', () => {
    const { fields } = read(nestEnvelope(), '{"pattern":"a","id":"r"}', { correlationId: 'c' }, 'own') as Decoded;
    expect(fields).toEqual({ route: 'a' });
  });

  test.each(['{"a":1}', '[1]', 'null', '"text"', '{"pattern":"polka","size":3}', '{"data":1}', '{"id":"1","data":2}'])(
    'reads %s as the body that it is',
    (body) => expect(read(nestEnvelope(), body)).toEqual(JSON.parse(body)),
  );

  test('bytes and texts are as ever, and an empty body is undefined only where that is allowed', () => {
    expect(read(nestEnvelope(), 'a', { contentType: 'application/octet-stream' })).toEqual(Buffer.from('a'));
    expect(() => read(nestEnvelope(), '')).toThrow(/not JSON/);
    expect(read(nestEnvelope({ allowEmpty: true }), '')).toBeUndefined();
  });

  test.each([
    ['pattern', '{"pattern":null,"data":1}', 'null'],
    ['pattern', '{"pattern":["a"],"data":1}', 'an array'],
    ['pattern', '{"pattern":true}', 'a boolean'],
    ['pattern', '{"pattern":""}', 'an empty text'],
    ['id', '{"pattern":"a","id":7}', 'a number'],
    ['id', '{"pattern":"a","id":{}}', 'an object'],
    ['route', `{"pattern":"${'a'.repeat(256)}"}`, 'a text'],
    ['route', '{"pattern":"a\\u0000b"}', 'a text'],
  ])('a wrong «%s» (%s) is undecodable, and the error says which and what it is', (name, body, what) => {
    expect(() => read(nestEnvelope(), body)).toThrow(
      expect.objectContaining({
        code: 'UNDECODABLE',
        message: expect.stringMatching(new RegExp(`«${name}», ${what}`)) as unknown,
      }),
    );
  });

  test('an option that is wrong is refused', () => {
    for (const options of [{ pattern: '' }, { pattern: 'a b' }, { pattern: 1 }, { allowEmpty: 1 }, { patern: 'a' }])
      expect(() => nestEnvelope(options as never)).toThrow(/nestEnvelope/);
  });
});
