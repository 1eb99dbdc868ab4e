import { describe, expect, it } from '@jest/globals';
import type { MessageProperties, WireMessage } from '../../../lib/message/message.js';
import type { Destination } from '../../../lib/transport/outgoing.js';
import {
  delayedTooLong,
  keptRoute,
  readProperties,
  routeOf,
  shorterErrors,
  tooLarge,
  typeOf,
  unroutable,
  writeEnvelope,
} from '../../../lib/transports/kit/envelope.js';

const message = (fields: Partial<WireMessage> = {}): WireMessage => ({
  id: 'id',
  route: 'order.created',
  body: Buffer.from('12345'),
  headers: {},
  properties: {},
  ...fields,
});
const ROUTE: Destination = { kind: 'route', route: 'order.created' };
const QUEUE: Destination = { kind: 'queue', queue: 'q' };
const DEAD: Destination = { kind: 'dead-letter', route: 'orders:dlq' };

/** Every property there is: one that is added has to be written and read. */
const properties: Required<MessageProperties> = {
  contentType: 'application/json',
  contentEncoding: 'gzip',
  correlationId: 'c',
  replyTo: 'r',
  appId: 'a',
  type: 'foreign',
  timestamp: 12,
  priority: 3,
};

function written(one: WireMessage): Record<string, unknown> {
  const fields: [string, unknown][] = [];
  writeEnvelope(one, { property: (name, value) => void fields.push([name, value]) }, typeOf(one));
  return Object.fromEntries(fields);
}

describe('what is written of a message', () => {
  it('is its id, its type and every property; what is absent is undefined', () => {
    expect(written(message({ properties }))).toEqual({ id: 'id', ...properties });
    const bare = written(message({ id: '' }));
    expect(Object.keys(bare).sort()).toEqual(['id', ...Object.keys(properties)].sort());
    expect(Object.entries(bare).filter(([, value]) => value !== undefined)).toEqual([['type', 'order.created']]);
  });

  it('is read again, also where numbers are texts; what is no number is not', () => {
    expect(readProperties(properties, 'order.created')).toEqual(properties);
    expect(readProperties({ ...properties, timestamp: '12', priority: '3' }, 'order.created')).toEqual(properties);
    expect(readProperties({ timestamp: 'soon', priority: '' }, 'order.created')).toEqual({});
    expect(readProperties({ type: 'order.created' }, 'order.created')).toEqual({});
  });
});

describe('the route', () => {
  it('is kept in a header where a foreign type has its place and the address is a queue', () => {
    const foreign = message({ properties: { type: 'foreign' } });
    expect([QUEUE, DEAD, ROUTE].map((to) => keptRoute(foreign, to))).toEqual([
      'order.created',
      'order.created',
      undefined,
    ]);
    expect(keptRoute(message(), QUEUE)).toBeUndefined();
    expect(keptRoute(message({ properties: { type: 'order.created' } }), QUEUE)).toBeUndefined();
    const known = { headers: { 'messaging-origin-route': 'order.paid' }, properties: { type: 'foreign' } };
    expect(keptRoute(message(known), QUEUE)).toBeUndefined();
  });

  it('is read from that header, else it is the type, else the queue', () => {
    expect(routeOf({ 'messaging-origin-route': 'order.paid' }, 'type', 'q')).toBe('order.paid');
    expect([routeOf({}, 'type', 'q'), routeOf({}, '', 'q'), routeOf({}, 7, 'q')]).toEqual(['type', 'q', 'q']);
  });
});

describe('what is not sent', () => {
  it('is a body above the limit, unless it is a copy', () => {
    const sent = (to: Destination, most: number): unknown =>
      tooLarge({ to, message: message(), dedupeId: 'd', mandatory: true }, most)?.message;
    expect(sent(ROUTE, 5)).toBeUndefined();
    expect(sent(ROUTE, 4)).toBe('The body has 5 bytes; the most that is sent is 4 (option «maxBytes»)');
    expect([sent(QUEUE, 4), sent(DEAD, 4)]).toEqual([undefined, undefined]);
  });

  it('is a delay that is longer than the longest, or none', () => {
    expect(delayedTooLong(5, 5, 'Broker')).toBeUndefined();
    expect(delayedTooLong(6, 5, 'Broker')).toMatchObject({
      code: 'PUBLISH_REFUSED',
      message: 'A delay of 6 ms is longer than 5 ms, the longest on Broker',
    });
    expect(delayedTooLong(NaN, 5, 'Broker')).toBeDefined();
  });

  it('where no queue takes it, its destination is named', () => {
    const text = (to: Destination): string => unroutable({ to }, 'events').message;
    expect([text(ROUTE), text({ ...ROUTE, topic: 'other' }), text(QUEUE), text(DEAD)]).toEqual([
      'No queue is bound to «events» for the route «order.created»',
      'No queue is bound to «other» for the route «order.created»',
      'There is no queue «q»',
      'No dead-letter queue is bound for «orders:dlq»',
    ]);
  });
});

it('a dead letter says less and less of its error: first of the stack, then of the message, and all else stays', () => {
  const headers = {
    tenant: 'blue',
    'messaging-error-message': 'm'.repeat(100),
    'messaging-error-stack': 's'.repeat(2_000),
  };
  const lengths = [...shorterErrors(headers)].map((lean) => [
    (lean['messaging-error-stack'] as string | undefined)?.length,
    (lean['messaging-error-message'] as string | undefined)?.length,
    lean.tenant,
  ]);
  expect(lengths).toEqual([
    [1_024, 100, 'blue'],
    [256, 100, 'blue'],
    [64, 100, 'blue'],
    [undefined, 100, 'blue'],
    [undefined, 64, 'blue'],
    [undefined, undefined, 'blue'],
  ]);
  expect(headers['messaging-error-stack']).toHaveLength(2_000);
});
