import { describe, expect, it } from '@jest/globals';
import { decode, encode } from '../../../lib/transports/kafka/codec.js';
import { record } from './records.js';

describe('the key of a record of another client', () => {
  it.each([
    ['text', Buffer.from('ä-1'), 'ä-1'],
    ['text like the way bytes are told', Buffer.from('base64:YWJj'), 'base64:YWJj'],
    ['bytes', Buffer.from('ff00fe', 'hex'), 'base64:/wD+'],
  ])('is that of its copy: %s', (_, key, told) => {
    const { message } = decode(record(0, { key }), 'q', 'events.queue.q');
    expect(message.headers['messaging-key']).toBe(told);
    const copy = encode(
      { to: { kind: 'queue', queue: 'q' }, message, dedupeId: '1', mandatory: true },
      'events.queue.q',
    );
    expect(Buffer.from(copy.key as string)).toEqual(key);
  });
});
