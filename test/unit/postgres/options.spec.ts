import { inspect } from 'node:util';
import { expect, it } from '@jest/globals';
import { InvalidOptionError } from 'nestjs-messaging';
import { postgres, postgresSchema } from 'nestjs-messaging/postgres';

it.each(['postgres://user:pa ss@host:port', 'postgres://user:pl/an#ss@ho st', 'http://user:pass@host'])(
  'an error about a URL that cannot be used does not show its password: %s',
  (url) => {
    const make = (): unknown => postgres({ url });
    expect(make).toThrow(/postgres\.url/);
    expect(make).not.toThrow(/pa ss|pl\/an|:pass@/);
    expect(make).toThrow(/\*\*\*@/);
  },
);

it('neither factory nor transport show the password, however they are looked at', () => {
  const factory = postgres({ url: 'postgres://user:hunter2@host/db', options: { password: 'hunter3' } });
  const shown = inspect([factory, factory.create()], { depth: 10, showHidden: true });
  expect(shown).not.toMatch(/hunter/);
  expect(factory.create().host ?? '').toBe('host:5432/db');
});

it.each(['Messaging', 'a-b', '1a', 'a"; drop schema public; --', 'pg_toast', '', 'ä', 'a'.repeat(49)])(
  'a schema that is no plain name is refused: «%s»',
  (schema) => {
    expect(() => postgres({ schema })).toThrow(InvalidOptionError);
    expect(() => postgresSchema(schema)).toThrow(InvalidOptionError);
  },
);

const misspelt: object = { polInterval: 1_000 };

it.each<[object, RegExp]>([
  [{ lease: 999 }, /postgres\.lease/],
  [{ pollInterval: 9 }, /postgres\.pollInterval/],
  [{ connections: 0 }, /postgres\.connections/],
  [{ maxBytes: 0 }, /postgres\.maxBytes/],
  [{ topic: '' }, /postgres\.topic/],
  [{ preparedStatements: 'no' }, /postgres\.preparedStatements/],
  [misspelt, /pollInterval/],
  [{ url: undefined }, /environment variable not set/],
  [{ url: 'postgres://undefined:x@host/db' }, /postgres\.url/],
])('a wrong option is told by its name: %o', (options, message) => {
  expect(() => postgres(options)).toThrow(message);
});
