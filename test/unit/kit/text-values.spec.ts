import { describe, expect, it } from '@jest/globals';
import type { HeaderValue, Headers } from '../../../lib/message/headers.js';
import {
  parseTypes,
  putHeader,
  ReservedNames,
  TextHeaders,
  TYPES_HEADER,
} from '../../../lib/transports/kit/text-values.js';

const reserved = new ReservedNames({ id: 'Message-Id', contentType: 'Content-Type' }, 'broker-');

class Lines extends TextHeaders {
  readonly lines: (readonly [string, string])[] = [];

  constructor(headers: Headers, plain = false) {
    super(reserved);
    for (const [name, value] of Object.entries(headers)) this.header(name, value, plain);
    this.endTypes();
  }

  line(name: string, text: string): void {
    this.lines.push([name, text]);
  }
}

function read(lines: readonly (readonly [string, string])[]): Headers {
  const types = parseTypes(lines.find(([name]) => name === TYPES_HEADER)?.[1]);
  const headers: Record<string, HeaderValue> = {};
  for (const [name, text] of lines) if (name !== TYPES_HEADER) putHeader(headers, name, text, types);
  return headers;
}

const back = (headers: Headers): Headers => read(new Lines(headers).lines);

describe('headers as texts', () => {
  it.each<[string, HeaderValue]>([
    ['a text', 'text'],
    ['a text with edges', ' text '],
    ['a text of lines', 'a\r\nInjected: yes'],
    ['half a pair', 'x\ud800y'],
    ['a text like a number', '1'],
    ['a number', 1.5],
    ['a negative zero', -0],
    ['a boolean', false],
    ['null', null],
    ['a date', new Date(1_700_000_000_123)],
    ['bytes', Buffer.from([0, 255, 10, 13])],
    ['a list', ['a', 1, null, [new Date(5), Buffer.from([1])], -0]],
    ['an object', { $: ['bytes', 'x'], $$: 1, deep: { when: new Date(7), $x: 'y' } }],
  ])('come back as they were: %s', (_, value) => {
    expect(back({ 'x-value': value })).toEqual({ 'x-value': value });
  });

  it.each([
    'with space',
    'colon:',
    'Zürich',
    'Broker-Order',
    'message-ID',
    'messaging-types',
    'messaging-header-1',
    '',
  ])('come back under their names: «%s»', (name) => {
    const headers = { [name]: 'text', other: 7 };
    expect(back(headers)).toEqual(headers);
  });

  it('a name that is a property of every object is one as any other', () => {
    const headers = JSON.parse('{"__proto__":"text","constructor":1}') as Headers;
    expect(Object.entries(back(headers)).sort()).toEqual(Object.entries(headers).sort());
  });

  it('only what is no text has a type, and nothing in the types is more than text to any client', () => {
    expect(new Lines({ a: 'text', b: 'x' }).lines).toEqual([
      ['a', 'text'],
      ['b', 'x'],
    ]);
    const types = new Lines({ count: 1, 'Zürich\r\n': 'text' }).lines.at(-1)!;
    expect(types).toEqual([TYPES_HEADER, '{"count":"number","messaging-header-1":["text","Z\\u00fcrich\\r\\n"]}']);
  });

  it('without room for types a list of texts is several lines', () => {
    expect(new Lines({ list: ['a', 'b'] }, true).lines).toEqual([
      ['list', 'a'],
      ['list', 'b'],
    ]);
  });

  it.each([
    ['count', 'many', '{"count":"number"}'],
    ['count', '5', '{"count":"what"}'],
    ['count', 'nonsense', '{"count":"json"}'],
    ['count', 'soon', '{"count":"date"}'],
    ['count', '5', 'nonsense'],
    ['count', '5', '7'],
  ])('a type that does not fit is ignored: %s: %s as %s', (name, text, types) => {
    const headers: Record<string, HeaderValue> = {};
    putHeader(headers, name, text, parseTypes(types));
    expect(headers).toEqual({ [name]: text });
  });
});

it('a name with a meaning is known in any spelling, and no more of them are remembered than there is room for', () => {
  expect(['Message-Id', 'MESSAGE-ID', 'Broker-What', 'tenant'].map((name) => reserved.meaningOf(name))).toEqual([
    'id',
    'id',
    '',
    undefined,
  ]);
  for (let at = 0; at < 3_000; at++) expect(reserved.meaningOf(`x-${at}`)).toBeUndefined();
  expect(reserved.meaningOf('message-id')).toBe('id');
});
