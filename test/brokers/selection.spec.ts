import { afterEach, describe, expect, test } from '@jest/globals';
import { natsVersions } from './nats/install.js';
import { rabbitVersions } from './rabbitmq/install.js';
import { selectedVersions } from './selection.js';

const before = process.env;
afterEach(() => {
  process.env = before;
});

describe.each([
  ['TEST_RABBITMQ_VERSIONS', rabbitVersions, ['3.10.8', '4.0.5', '4.3']],
  ['TEST_NATS_VERSIONS', natsVersions, ['2.9.10', '2.10.27', '2.15']],
] as const)('%s', (variable, known: readonly string[], versions) => {
  const selected = (value: string) => {
    process.env = { ...before, [variable]: value };
    return selectedVersions(variable, known);
  };

  test('unset: the oldest and the newest version are tested', () => {
    expect(selected('')).toEqual([versions[0], versions[2]]);
  });

  test('«all»: every version is tested', () => expect(selected('all')).toEqual(versions));

  test('versions, in any order: these are tested, oldest first', () => {
    expect(selected(`${versions[1]}, ${versions[0]}`)).toEqual([versions[0], versions[1]]);
  });

  test('a version that nobody knows is an error that tells those that are known', () => {
    expect(() => selected('1.0')).toThrow(`${variable} takes all, ${versions.join(', ')}; not «1.0»`);
  });
});
