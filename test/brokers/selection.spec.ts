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
    process.env = { ...before, TEST_VERSIONS: '', [variable]: value };
    return selectedVersions(variable, known);
  };

  test('unset: the newest version is tested', () => {
    expect(selected('')).toEqual([versions[2]]);
  });

  test('«oldest»: the oldest version is tested, and «oldest, newest» are two', () => {
    expect(selected('oldest')).toEqual([versions[0]]);
    expect(selected('newest, oldest')).toEqual([versions[0], versions[2]]);
  });

  test('unset: TEST_VERSIONS says it for every broker, and the variable of a broker goes before it', () => {
    process.env = { ...before, TEST_VERSIONS: 'oldest' };
    expect(selectedVersions(variable, known)).toEqual([versions[0]]);
    process.env = { ...before, TEST_VERSIONS: 'oldest', [variable]: 'newest' };
    expect(selectedVersions(variable, known)).toEqual([versions[2]]);
  });

  test('«all»: every version is tested', () => expect(selected('all')).toEqual(versions));

  test('versions, in any order: these are tested, oldest first', () => {
    expect(selected(`${versions[1]}, ${versions[0]}`)).toEqual([versions[0], versions[1]]);
  });

  test('a version that nobody knows is an error that tells those that are known', () => {
    expect(() => selected('1.0')).toThrow(`${variable} takes newest, oldest, all, ${versions.join(', ')}; not «1.0»`);
  });
});
