import { expect, test } from '@jest/globals';
import { MsgHdrsImpl } from '@nats-io/transport-node';
import type { HeaderValue, Headers } from '../../../lib/message/headers.js';
import type { WireMessage } from '../../../lib/message/message.js';
import { decode } from '../../../lib/transports/nats/wire/decode.js';
import { encodeHeaders } from '../../../lib/transports/nats/wire/encode.js';

const body = Buffer.from('body');

function sent(message: Partial<WireMessage>): WireMessage {
  const whole: WireMessage = { id: 'id', route: 'a', body, headers: {}, properties: {}, ...message };
  const outgoing = { to: { kind: 'queue', queue: 'q' }, message: whole, dedupeId: 'once', mandatory: true } as const;
  const block = encodeHeaders(outgoing, '_events.q.queue', false);
  return decode(body, MsgHdrsImpl.decode(block), 'q', { direct: true });
}

const values: Record<string, HeaderValue> = {
  text: 'text',
  'text with edges': '  text  ',
  'text in lines': 'a\r\nInjected: yes\r\n\r\nbody',
  'half a pair': 'x\ud800y',
  'text like a number': '1',
  'text like JSON': '{"$":["bytes","AA=="]}',
  empty: '',
  number: 1.5,
  'negative zero': -0,
  yes: true,
  no: false,
  nothing: null,
  date: new Date(1_700_000_000_123),
  bytes: Buffer.from([0, 255, 10, 13]),
  list: ['a', 1, null, [new Date(5), Buffer.from([1])], -0],
  object: { $: ['bytes', 'x'], $$: 1, deep: { when: new Date(7), $x: 'y' } },
  'an empty object': {},
};

test.each(Object.entries(values))('a header comes back as it was: %s', (_, value) => {
  expect(sent({ headers: { 'x-value': value } }).headers).toEqual({ 'x-value': value });
});

test.each([
  'with space',
  'colon:',
  'Zürich',
  'Nats-Rollup',
  'nats-msg-id',
  'Content-Type',
  'message-id',
  'messaging-types',
  'messaging-header-1',
  '',
  '__proto__',
])('a header comes back under its name: «%s»', (name) => {
  const headers = Object.fromEntries([
    [name, 'text'],
    ['x-other', 7],
  ]);
  const received = sent({ headers });
  expect(Object.entries(received.headers).sort()).toEqual(Object.entries(headers).sort());
  expect([received.id, received.properties]).toEqual(['id', {}]);
});

test('what the server takes for an order is never sent under its name', () => {
  const headers: Headers = { 'Nats-Rollup': 'all', 'Nats-Expected-Stream': 'x' };
  const message: WireMessage = { id: '1', route: 'a', body, headers, properties: {} };
  const outgoing = { to: { kind: 'route', route: 'a' }, message, dedupeId: '1', mandatory: true } as const;
  expect(encodeHeaders(outgoing, 'events.a', false).toString()).not.toMatch(/^Nats-(?!Msg-Id)/m);
});

test('a message without an id has none after its copy either', () => {
  expect(sent({ id: '' }).id).toBe('');
});

test('equal dedupe ids on different subjects are different messages', () => {
  const message: WireMessage = { id: '1', route: 'a', body, headers: {}, properties: {} };
  const outgoing = { to: { kind: 'route', route: 'a' }, message, dedupeId: '1', mandatory: true } as const;
  const idOf = (subject: string): string =>
    MsgHdrsImpl.decode(encodeHeaders(outgoing, subject, false)).get('Nats-Msg-Id');
  expect(idOf('events.a')).not.toBe(idOf('events.b'));
  expect(idOf('events.a')).toBe(idOf('events.a'));
});

test('a property that cannot be sent is refused with its name', () => {
  expect(() => sent({ properties: { correlationId: 'a\r\nb' } })).toThrow('«Correlation-Id»');
});

test.each([NaN, -Infinity, { deep: [Infinity] }, new Date(NaN)])(
  'a value that is not finite is refused: %p',
  (value) => {
    expect(() => sent({ headers: { 'x-value': value } })).toThrow(expect.objectContaining({ code: 'SERIALIZATION' }));
  },
);

test('a number that is not finite, of a foreign client, is kept as its text', () => {
  const forged = MsgHdrsImpl.fromRecord({
    a: ['Infinity'],
    b: ['NaN'],
    'messaging-types': ['{"a":"number","b":"number"}'],
  });
  expect(decode(body, forged as never, 'q', { direct: true }).headers).toEqual({ a: 'Infinity', b: 'NaN' });
});

test('types that do not fit are taken for text', () => {
  const forged = MsgHdrsImpl.fromRecord({
    a: ['x'],
    b: ['{'],
    'messaging-types': ['{"a":"number","b":"json","c":["text"],"__proto__":"number"}'],
  });
  expect(decode(body, forged as never, 'q', { direct: true }).headers).toEqual({ a: 'x', b: '{' });
});
