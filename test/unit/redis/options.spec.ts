import { inspect } from 'node:util';
import { expect, it } from '@jest/globals';
import { redis } from 'nestjs-messaging/redis';

it.each([
  'redis://user:pa ss@host:port',
  'redis://user:pl/an#ss@ho st',
  'http://user:pass@host',
  'redis://user:pass@host/db',
])('an error about a URL that cannot be used does not show its password: %s', (url) => {
  const make = (): unknown => redis({ url });
  expect(make).toThrow(/redis\.url/);
  expect(make).not.toThrow(/pa ss|pl\/an|:pass@/);
  expect(make).toThrow(/\*\*\*@/);
});

it('neither factory nor transport show the password, however they are looked at', () => {
  const factory = redis({ url: 'redis://user:hunter2@host/3', options: { sentinelPassword: 'hunter3' } });
  const shown = inspect([factory, factory.create()], { depth: 10, showHidden: true });
  expect(shown).not.toMatch(/hunter/);
  expect(factory.create().host).toBe('host:6379/3');
});

it('a cluster is told by several nodes, and has no databases', () => {
  expect(redis({ url: 'redis://a:1,redis://b:2', cluster: true }).create().host).toBe('a:1,b:2');
  expect(() => redis({ url: 'redis://a:1,redis://b:2' })).toThrow(/cluster/);
  expect(() => redis({ url: 'redis://a:1/2', cluster: true })).toThrow(/redis\.url/);
});

it.each([
  'redis://host/0?password=planted-secret',
  'redis://user:planted-secret@host/0?db=5',
  'redis://host#planted-secret',
  'redis://host/12345678901',
])('what a URL says and nothing reads is refused, and not shown: %s', (url) => {
  expect(() => redis({ url })).toThrow(/redis\.url/);
  expect(() => redis({ url })).not.toThrow(/planted/);
});

it.each([
  'redis://a:1,rediss://b:2',
  'redis://u:planted-1@a:1,redis://u:planted-2@b:2',
  'redis://u:planted-1@a:1,redis://b:2',
  'redis://u:planted-1@a:1,redis://v:planted-1@b:2',
  'redis://a:1,redis://b:2/3',
])('nodes of a cluster that are to be reached in several ways are refused: %s', (url) => {
  expect(() => redis({ url, cluster: true })).toThrow(/redis\.url/);
  expect(() => redis({ url, cluster: true })).not.toThrow(/planted/);
});

const misspelt: object = { polInterval: 1_000 };

it.each<[object, RegExp]>([
  [{ lease: 999 }, /redis\.lease/],
  [{ pollInterval: 9 }, /redis\.pollInterval/],
  [{ maxBytes: 0 }, /redis\.maxBytes/],
  [{ topic: '' }, /redis\.topic/],
  [{ prefix: '{tag}' }, /redis\.prefix/],
  [{ prefix: '' }, /redis\.prefix/],
  [{ cluster: 'yes' }, /redis\.cluster/],
  [misspelt, /pollInterval/],
  [{ url: undefined }, /environment variable not set/],
  [{ url: 'redis://undefined:x@host' }, /redis\.url/],
  [{ options: { maxRetriesPerRequest: 3 } }, /redis\.options\.maxRetriesPerRequest/],
  [{ options: { keyPrefix: 'a' } }, /redis\.options\.keyPrefix/],
  [{ options: { host: 'elsewhere' } }, /redis\.options\.host/],
])('a wrong option is told by its name: %o', (options, message) => {
  expect(() => redis(options)).toThrow(message);
});
