import { describe, expect, test } from '@jest/globals';
import { integerHeader, stringHeader } from '../../../lib/message/headers.js';
import { exceedsJsonDepth } from '../../../lib/message/json-depth.js';
import { newMessageId } from '../../../lib/message/message-id.js';
import { jsonSerializer } from '../../../lib/message/serializer.js';
import { seeded } from '../support/application.js';

const nested = (depth: number, open = '[', close = ']'): Buffer =>
  Buffer.from(open.repeat(depth) + close.repeat(depth));

describe('the depth of JSON is found without parsing it', () => {
  test('at the limit it passes, one more does not', () => {
    expect(exceedsJsonDepth(nested(64), 64)).toBe(false);
    expect(exceedsJsonDepth(nested(65), 64)).toBe(true);
    expect(exceedsJsonDepth(nested(65, '{"a":', '}'), 64)).toBe(true);
    expect(exceedsJsonDepth(Buffer.from('[1,2],'.repeat(1_000)), 2)).toBe(false);
  });

  test('brackets in texts do not count, whatever is escaped', () => {
    for (const text of ['[[[[', '\\', '"', '\\"[', '{"', 'ü[€[', '\u0000[']) {
      const json = Buffer.from(JSON.stringify([text, text, text, text]));
      expect(exceedsJsonDepth(json, 1)).toBe(false);
    }
  });

  test('broken JSON ends the search, it does not make it run for ever or throw', () => {
    for (const text of ['"', '"\\', ']]]]', '{{{{"', '[[[["\\"']) exceedsJsonDepth(Buffer.from(text.padEnd(20)), 1);
  });

  test('agrees with a parser on random values', () => {
    const random = seeded(7);
    const value = (depth: number): unknown => {
      if (depth === 0 || random() < 0.3) return random() < 0.5 ? '[{"\\' : 1;
      return random() < 0.5 ? [value(depth - 1), value(depth - 1)] : { '}"[': value(depth - 1) };
    };
    const depthOf = (one: unknown): number =>
      typeof one === 'object' && one !== null ? 1 + Math.max(0, ...Object.values(one).map(depthOf)) : 0;
    for (let n = 0; n < 300; n++) {
      const one = value(6);
      const json = Buffer.from(JSON.stringify(one));
      for (const limit of [1, 3, 5]) expect(exceedsJsonDepth(json, limit)).toBe(depthOf(one) > limit);
    }
  });
});

describe('the serializer', () => {
  const read = (body: string | Buffer, properties = {}): unknown =>
    jsonSerializer.deserialize(Buffer.from(body as string), properties);

  test.each<[string, string, object, unknown]>([
    ['JSON without a content type', '{"a":[1,null]}', {}, { a: [1, null] }],
    ['JSON with parameters', '1', { contentType: 'application/json; charset=utf-8' }, 1],
    ['JSON in capitals', '1', { contentType: 'Application/JSON' }, 1],
    ['a +json type', '1', { contentType: 'application/cloudevents+json' }, 1],
    ['an empty content type', '1', { contentType: '' }, 1],
    ['text', 'plain €', { contentType: 'text/plain' }, 'plain €'],
    ['bytes', '{', { contentType: 'application/octet-stream' }, Buffer.from('{')],
    ['an encoding that changes nothing', '1', { contentEncoding: 'utf-8' }, 1],
    ['… as some clients spell it', '1', { contentEncoding: 'UTF-8' }, 1],
    ['JSON behind a byte order mark', '\ufeff{"a":"ü"}', {}, { a: 'ü' }],
    ['… with its character set', '\ufeff[1]', { contentType: 'application/json; charset=utf-8' }, [1]],
    ['text behind a byte order mark', '\ufeffplain', { contentType: 'text/plain' }, 'plain'],
    ['a byte order mark in the text', '"a\ufeffb"', {}, 'a\ufeffb'],
    ['bytes, which have none', '\ufeff{', { contentType: 'application/octet-stream' }, Buffer.from('\ufeff{')],
    ['a member that looks like a prototype', '{"__proto__":{"a":1}}', {}, JSON.parse('{"__proto__":{"a":1}}')],
  ])('reads %s', (_, body, properties, value) => {
    expect(read(body, properties)).toEqual(value);
  });

  test('a member that looks like a prototype pollutes nothing', () => {
    read('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test('writes and reads back', () => {
    for (const value of [null, 0, '', '€', [], {}, { a: [{ b: false }] }]) {
      const { body, contentType } = jsonSerializer.serialize(value);
      expect(read(body, { contentType })).toEqual(value);
    }
  });
});

describe('headers', () => {
  test.each<[unknown, number | undefined]>([
    [5, 5],
    ['5', 5],
    [0, 0],
    [10, 10],
    [11, undefined],
    [-1, undefined],
    ['-1', undefined],
    [1.5, undefined],
    ['1.5', undefined],
    ['', undefined],
    [' 5', undefined],
    ['0x5', undefined],
    ['1e1', undefined],
    [null, undefined],
    [true, undefined],
    [[5], undefined],
    [NaN, undefined],
    ['99999999999999999999', undefined],
  ])('%j as a whole number from 0 to 10 is %p', (value, expected) => {
    expect(integerHeader({ h: value as never }, 'h', 0, 10)).toBe(expected);
  });

  test('a text is a text that is not empty', () => {
    expect([
      stringHeader({ h: 'x' }, 'h'),
      stringHeader({ h: '' }, 'h'),
      stringHeader({ h: 5 }, 'h'),
      stringHeader({}, 'h'),
    ]).toEqual(['x', undefined, undefined, undefined]);
  });
});

test('ids of a clock that stands still or goes back are still unique and of their time', () => {
  const ids = [5_000, 5_000, 4_000, 2 ** 40, 5_000].map((time) => newMessageId(time));
  expect(new Set(ids).size).toBe(5);
  expect(ids.map((id) => parseInt(id.replace('-', '').slice(0, 12), 16))).toEqual([
    5_000,
    5_000,
    4_000,
    2 ** 40,
    5_000,
  ]);
});

describe('a body that JSON would change without a word is refused', () => {
  test.each<[string, unknown, string]>([
    ['an infinite number', { limits: { max: Infinity } }, '«max» is Infinity'],
    ['NaN', [1, NaN], 'is NaN'],
    ['a number alone', -Infinity, 'it is -Infinity'],
    ['an invalid date', { at: new Date(NaN) }, '«at» is an invalid date'],
    ['a Map', { prices: new Map([['a', 1]]) }, '«prices» is a Map'],
    ['a Set', new Set([1]), 'it is a Set'],
  ])('%s', (_, body, text) => {
    expect(() => jsonSerializer.serialize(body)).toThrow(
      expect.objectContaining({ code: 'SERIALIZATION', message: expect.stringContaining(text) }),
    );
  });

  test('what JSON has is taken: null, empty objects, a toJSON, undefined as ever', () => {
    const body = {
      a: null,
      b: {},
      c: { toJSON: () => null },
      d: [undefined],
      e: undefined,
      f: 'null {}',
      g: new Date(0),
    };
    expect(jsonSerializer.serialize(body).body.toString()).toBe(JSON.stringify(body));
  });
});
