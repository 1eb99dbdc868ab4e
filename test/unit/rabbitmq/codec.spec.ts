import { describe, expect, it } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import type { Headers } from '../../../lib/message/headers.js';
import type { WireMessage } from '../../../lib/message/message.js';
import { decode, deliveryCountOf, originOf } from '../../../lib/transports/rabbitmq/wire/decode.js';
import { encode, leanerHeaders, refusal, targetOf } from '../../../lib/transports/rabbitmq/wire/encode.js';
import { namesOf } from '../../../lib/transports/rabbitmq/names.js';

const names = namesOf('events');

function raw(exchange: string, routingKey: string, properties: object = {}): ConsumeMessage {
  return { fields: { exchange, routingKey }, properties, content: Buffer.from('{}') } as unknown as ConsumeMessage;
}

function read(message: ConsumeMessage): WireMessage & { direct: boolean; topic?: string } {
  const origin = originOf(message, names);
  return { ...decode(message, 'the:queue', origin, names), ...origin };
}

describe('decode', () => {
  it.each([
    ['a topic', raw('events', 'a.b'), { route: 'a.b', direct: false, topic: 'events' }],
    ['the queue’s name', raw('', 'the:queue', { type: 'a.b' }), { route: 'a.b', direct: true }],
    [
      'the queue’s name, with a route in a header',
      raw('', 'the:queue', { type: 'X', headers: { 'messaging-origin-route': 'a.b' } }),
      { route: 'a.b', direct: true, properties: { type: 'X' } },
    ],
    ['the queue’s name alone', raw('', 'the:queue'), { route: 'the:queue', direct: true }],
    ['the last delay level', raw('events.delay.3', 'the:queue', { type: 'a.b' }), { route: 'a.b', direct: true }],
    [
      'the dead-letter exchange',
      raw('events.dlx', 'x:dlq', { type: 'a.b' }),
      { route: 'a.b', direct: false, topic: 'events.dlx' },
    ],
    [
      'the dead-letter exchange, by the broker',
      raw('events.dlx', 'x:dlq', { headers: { 'x-death': [{ exchange: 'events', 'routing-keys': ['a.b'] }] } }),
      { route: 'a.b', headers: {} },
    ],
  ])('route and origin of a message by %s', (_, message, expected) => {
    expect(read(message)).toMatchObject(expected);
  });

  it('what broker and transport added is gone, all else is the same object', () => {
    const headers = {
      'x-delivery-count': 3,
      'x-acquired-count': 4,
      'x-first-death-queue': 'q',
      'x-last-death-reason': 'r',
      'messaging-delay': '3',
      'messaging-delay-3': 'due',
      'x-own': 1,
      'messaging-attempt': 2,
    };
    expect(read(raw('events', 'a', { headers })).headers).toEqual({ 'x-own': 1, 'messaging-attempt': 2 });
    const clean = { 'x-own': 1 };
    expect(read(raw('events', 'a', { headers: clean })).headers).toBe(clean);
  });

  it('absent properties are absent', () => {
    expect(read(raw('events', 'a', { contentType: undefined, type: 'a' })).properties).toEqual({});
    expect(Object.keys(read(raw('events', 'a', { contentType: undefined, priority: 0 })).properties)).toEqual([
      'priority',
    ]);
  });

  describe.each(['x-delivery-count', 'x-acquired-count'] as const)('counts deliveries in %s', (countedIn) => {
    const told = (count: unknown, redelivered: boolean, counts = true): number | undefined => {
      const message = raw('', 'q', { headers: { [countedIn]: count } });
      return deliveryCountOf(
        { ...message, fields: { ...message.fields, redelivered } },
        counts ? countedIn : undefined,
      );
    };

    it('where the broker does', () => {
      expect(told(3, true)).toBe(3);
      expect(told(undefined, true)).toBe(0);
      expect(told(undefined, false)).toBe(0);
      expect(told(undefined, true, false)).toBeUndefined();
    });

    it.each([1, 7, -5, 'x'])('a first delivery has none before it, whatever its headers say: %p', (count) => {
      expect(told(count, false)).toBe(0);
    });

    it('a classic queue counts nothing, whatever the headers say', () => {
      expect([told(7, false, false), told(7, true, false)]).toEqual([undefined, undefined]);
    });
  });
});

describe('encode', () => {
  const message = (more: Partial<WireMessage> = {}): WireMessage => ({
    id: '1',
    route: 'a.b',
    body: Buffer.alloc(0),
    headers: {},
    properties: {},
    ...more,
  });

  it('addresses', () => {
    expect(targetOf({ kind: 'route', route: 'a' }, names)).toEqual({ exchange: 'events', routingKey: 'a' });
    expect(targetOf({ kind: 'route', topic: 't', route: 'a' }, names)).toEqual({ exchange: 't', routingKey: 'a' });
    expect(targetOf({ kind: 'queue', queue: 'q' }, names)).toEqual({ exchange: '', routingKey: 'q' });
    expect(targetOf({ kind: 'dead-letter', route: 'd' }, names)).toEqual({ exchange: 'events.dlx', routingKey: 'd' });
  });

  it('a copy with a foreign type carries its route in a header, others do not need to', () => {
    const foreign = message({ properties: { type: 'X' } });
    const to = { kind: 'queue', queue: 'q' } as const;
    expect(encode(foreign, foreign.headers, to, true).headers).toEqual({ 'messaging-origin-route': 'a.b' });
    expect(encode(message(), {}, to, true).headers).toEqual({});
    expect(encode(foreign, foreign.headers, { kind: 'route', route: 'a.b' }, true).headers).toEqual({});
  });

  it('passes headers through when AMQP has all of their types', () => {
    const headers: Headers = { a: 1, b: 'x', c: null, d: Buffer.alloc(1), e: [1, [true]], f: { g: 1 } };
    expect(encode(message({ headers }), headers, { kind: 'queue', queue: 'q' }, true).headers).toBe(headers);
  });

  it('refuses what is too large or would go elsewhere', () => {
    expect(
      refusal(
        {
          to: { kind: 'route', route: 'r' },
          message: message({ body: Buffer.alloc(11) }),
          dedupeId: '',
          mandatory: true,
        },
        10,
      )?.code,
    ).toBe('MESSAGE_TOO_LARGE');
    expect(
      refusal(
        {
          to: { kind: 'route', route: 'r' },
          message: message({ headers: { CC: ['x'] } }),
          dedupeId: '',
          mandatory: true,
        },
        10,
      )?.code,
    ).toBe('PUBLISH_REFUSED');
    expect(
      refusal(
        {
          to: { kind: 'route', route: 'r' },
          message: message({ body: Buffer.alloc(10) }),
          dedupeId: '',
          mandatory: true,
        },
        10,
      ),
    ).toBeUndefined();
  });

  it('gives up the stack first, then the message, then the rest of the error; never another header', () => {
    const headers = {
      foreign: 'x',
      'messaging-reason': 'r',
      'messaging-error-class': 'E',
      'messaging-error-message': 'm'.repeat(2_000),
      'messaging-error-stack': 's'.repeat(2_000),
    };
    const steps = [...leanerHeaders(headers)];
    expect(steps[0]['messaging-error-stack']).toHaveLength(1024);
    expect(steps.map((step) => ((step['messaging-error-message'] ?? '') as string).length)).toEqual(
      expect.arrayContaining([2_000, 1_024, 0]),
    );
    expect(steps.at(-1)).toEqual({ foreign: 'x', 'messaging-reason': 'r' });
    for (const step of steps) expect(step).toMatchObject({ foreign: 'x', 'messaging-reason': 'r' });
  });
});
