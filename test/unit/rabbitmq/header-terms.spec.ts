import { createRequire } from 'node:module';
import { describe, expect, it, test } from '@jest/globals';
import type { Options } from 'amqplib';
import type { Headers, HeaderValue } from '../../../lib/message/headers.js';
import {
  checkHeaderFrame,
  headerFrameBytes,
  headerFrameLimit,
} from '../../../lib/transports/rabbitmq/wire/header-frame.js';
import { fromTerms, toTerms, writableTimestamp } from '../../../lib/transports/rabbitmq/wire/header-terms.js';

const load = createRequire(require.resolve('amqplib'));
const codec = load('./lib/codec.js') as {
  encodeTable(buffer: Buffer, table: object, offset: number): number;
  decodeFields(bytes: Buffer): Headers;
};
const definitions = load('./lib/defs.js') as {
  encodeProperties(id: number, channel: number, size: number, fields: object): Buffer;
  BasicProperties: number;
};

/** Through amqplib's bytes. */
function sent(headers: Headers): Headers {
  const bytes = Buffer.alloc(10_000);
  const length = codec.encodeTable(bytes, toTerms(headers), 0);
  return fromTerms(codec.decodeFields(bytes.subarray(4, length)));
}

const values: Record<string, HeaderValue> = {
  'a double above 2^50 with a fraction': 2 ** 50 + 0.5,
  'its negative': -(2 ** 51) - 0.5,
  'the least integer of 64 bits': -(2 ** 63),
  'a double below it': -(2 ** 64),
  'the least double': -Number.MAX_VALUE,
  'the largest double': Number.MAX_VALUE,
  'the largest integer of 64 bits, as far as JavaScript has it': 2 ** 63,
  'a negative zero': -0,
  'a whole number': 1_900_000_000_000,
  'a table with the key «!»': { '!': 'x', other: 1 },
  'a table with nothing else': { '!': null },
  'a table whose key «!» names a type': { '!': 'timestamp', value: 'not a number' },
  'a table within such a one': { '!': { '!': [{ '!': 2 }] } },
  'a timestamp': new Date(1_700_000_000_000),
  'a timestamp in a list in a table': { list: [new Date(0), 'x'] },
  'a timestamp no Date holds': { '!': 'timestamp', value: 2 ** 50 },
  'a decimal': { '!': 'decimal', value: { places: 2, digits: 4_294_967_295 } },
  'a table that looks like a decimal': { '!': 'decimal', value: { places: 300, digits: 1 } },
};

describe('headers in amqplib’s terms', () => {
  test.each(Object.entries(values))('%s comes back as it was', (_, value) => {
    expect(sent({ value })).toEqual({ value });
    expect(sent({ deep: [{ value }] })).toEqual({ deep: [{ value }] });
    expect(sent({ '!': value })).toEqual({ '!': value });
  });

  it.each([
    [new Date(1_700_000_000_123), '2023-11-14T22:13:20.123Z'],
    [new Date(-1), '1969-12-31T23:59:59.999Z'],
  ])('a date that no timestamp holds is its text: %p', (date, text) => {
    expect(sent({ date })).toEqual({ date: text });
  });

  it('what is larger than the largest timestamp is that', () => {
    expect(sent({ at: { '!': 'timestamp', value: 2 ** 64 } })).toEqual({
      at: { '!': 'timestamp', value: 2 ** 64 - 2_048 },
    });
    expect([writableTimestamp(undefined), writableTimestamp(5), writableTimestamp(2 ** 64)]).toEqual([
      undefined,
      5,
      2 ** 64 - 2_048,
    ]);
  });

  it.each([Infinity, -Infinity, NaN, new Date(NaN)])('%p is refused at any depth', (value) => {
    for (const headers of [{ value }, { deep: [{ value }] }])
      expect(() => toTerms(headers)).toThrow(expect.objectContaining({ code: 'SERIALIZATION' }));
  });

  it('what needs no terms is the same object', () => {
    const headers: Headers = { a: 1, b: 'x', c: null, d: Buffer.alloc(1), e: [1, [true]], f: { g: 0.5 } };
    expect(toTerms(headers)).toBe(headers);
    expect(fromTerms(headers)).toBe(headers);
  });
});

describe('the frame of the headers', () => {
  const headers = toTerms({
    ...values, text: 'Zürich ✓', yes: true, small: -128, short: 200, int: 70_000, negative: -70_000, half: 0.5,
    bytes: Buffer.alloc(10), list: ['a', [1, null]], 'name ü': '', gone: undefined,
  }); // prettier-ignore
  const properties = {
    messageId: 'ü', type: 'r', contentType: 'application/json', contentEncoding: 'utf-8', correlationId: 'c', replyTo: 'r',
    appId: 'a', timestamp: 5, priority: 3, expiration: '10',
  }; // prettier-ignore

  it.each<[string, Options.Publish]>([
    ['all properties', { ...properties, headers }],
    ['none', { headers: {} }],
  ])('is as large as amqplib writes it: %s', (_, options) => {
    const written = definitions.encodeProperties(definitions.BasicProperties, 1, 7, { ...options, deliveryMode: 2 });
    expect(headerFrameBytes(options)).toBe(written.length);
  });

  it('is measured where the agreed frames are smaller than what amqplib writes', () => {
    expect([4_096, 8_192, 131_072, 0xffff_ffff, Infinity].map(headerFrameLimit)).toEqual([
      4_096,
      8_192,
      undefined,
      undefined,
      undefined,
    ]);
    const options = { headers: { a: 'x'.repeat(100) } };
    const bytes = headerFrameBytes(options);
    expect(() => checkHeaderFrame(options, bytes, 0)).not.toThrow();
    expect(() => checkHeaderFrame(options, bytes - 1, 0)).toThrow('frame_max');
    expect(() => checkHeaderFrame(options, bytes + 9, 10)).toThrow('frame_max');
  });
});
