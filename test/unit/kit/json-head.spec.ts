import { expect, it } from '@jest/globals';
import { type JsonHead, readJsonHead, writeJsonHead } from '../../../lib/transports/kit/json-head.js';

const nested = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`) as unknown;
const read = (head: unknown): ReturnType<typeof readJsonHead> => readJsonHead(head as JsonHead, Buffer.from('b'), 'q');

it.each([
  ['bytes', 5],
  ['json', { a: 1 }],
  ['date', []],
  ['number', {}],
  ['null', null],
])('a header that is told by kind and has no text stays as it was written: %s of %j', (kind, text) => {
  const value = { $: [kind, text] };
  expect(read({ id: '1', headers: { value, other: 'x' } })).toMatchObject({ id: '1', headers: { value, other: 'x' } });
});

it('what is nested too deep to be written again is left out, and the rest is read', () => {
  const message = read({
    id: '1',
    route: 'r',
    headers: { nested, inner: { $: ['json', nested] }, pair: { a: { $: ['x', nested] } }, other: 'x' },
  });
  expect(message).toMatchObject({ id: '1', route: 'r', headers: { other: 'x' } });
  expect(Array.isArray(message.headers.nested)).toBe(true);
  expect(writeJsonHead(message, 't')).toContain('"other":"x"');
});

it.each([
  [[]],
  [{ headers: [1], properties: [1], id: 5, route: {} }],
  [{ headers: { 'messaging-key': 5, 'messaging-origin-route': {} }, properties: { type: {}, timestamp: 'x' } }],
  [{ headers: Object.defineProperty({}, 'x', { enumerable: true, get: () => { throw new Error('foreign'); } }) }],
])('a head that others wrote never takes the body away: %#', (head) => {
  expect(read(head).body.toString()).toBe('b');
}); // prettier-ignore
