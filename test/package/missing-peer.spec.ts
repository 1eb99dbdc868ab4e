import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { newDirectory } from '../brokers/run-directory.js';

const root = resolve(__dirname, '../..');
const folders = readdirSync(join(root, 'lib/transports')).filter(
  (name) => name !== 'kit' && existsSync(join(root, 'lib/transports', name, 'index.ts')),
);
/** With the files of lib/clients that they import, and those that these do. */
function withClients(text: readonly string[], names = new Set<string>()): readonly string[] {
  const found = [...text.join().matchAll(/from '(?:\.\.\/\.\.\/clients|\.)\/([\w-]+)\.js'/g)].map(([, name]) => name);
  const more = found.filter((name) => !names.has(name) && existsSync(join(root, 'lib/clients', `${name}.ts`)));
  for (const name of more) names.add(name);
  const texts = [...new Set(more)].map((name) => readFileSync(join(root, 'lib/clients', `${name}.ts`), 'utf8'));
  return texts.length === 0 ? text : [...text, ...withClients(texts, names)];
}

/** What each transport loads when it connects. */
const peers = folders.flatMap((transport) => {
  const folder = join(root, 'lib/transports', transport);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const text = withClients(files.map((file) => readFileSync(join(folder, file), 'utf8')));
  const loaded = [...text.join().matchAll(/[^.]import\('([^'.][^']*)'\)/g)].map(([, peer]) => peer);
  return loaded.map((peer) => ({ transport, peer, others: loaded.filter((other) => other !== peer) }));
});
const { peerDependencies, peerDependenciesMeta } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
};

/** The built package where Nest is installed, and of the packages that a transport loads all but one. */
const program = `
  import { MissingPeerError, systemClock } from './dist/index.mjs';
  const [, , name, options] = process.argv;
  const { [name]: factory } = await import('./dist/' + name + '.mjs');
  const reconnect = { initial: 10, max: 10, jitter: 0 };
  const environment = { clock: systemClock, service: 's', random: Math.random, reconnect, confirmTimeout: 1000 };
  await factory(JSON.parse(options)).create().connect({ ...environment, provision: true, onEvent: () => {} }).catch((error) =>
    console.log(JSON.stringify([error instanceof MissingPeerError, error.code, error.message])),
  );
`;

/** Options without which a peer is not asked for. */
const asking: Record<string, object> = { '@aws-sdk/client-sns': { topics: 'sns' } };

let directory: string;

const link = (name: string): void => {
  mkdirSync(dirname(join(directory, 'node_modules', name)), { recursive: true });
  symlinkSync(join(root, 'node_modules', name), join(directory, 'node_modules', name));
};

beforeAll(() => {
  directory = newDirectory('missing-peer');
  cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
  writeFileSync(join(directory, 'main.mjs'), program);
});
beforeEach(() => {
  for (const name of ['@nestjs', 'reflect-metadata', 'rxjs']) link(name);
});
afterEach(() => rmSync(join(directory, 'node_modules'), { recursive: true }));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('every transport is looked at', () => {
  expect([...new Set(peers.map(({ transport }) => transport))].sort()).toEqual(folders.sort());
});

test.each(peers)('$transport without $peer: the boot fails with the command that installs it', async (one) => {
  for (const other of one.others) link(other);
  const options = { cwd: directory, timeout: 30_000 };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['main.mjs', one.transport, JSON.stringify(asking[one.peer] ?? {})],
    options,
  );
  const [isMissing, code, message] = JSON.parse(stdout) as [boolean, string, string];
  expect({ isMissing, code }).toEqual({ isMissing: true, code: 'MISSING_PEER' });
  expect(message).toContain(`needs the package «${one.peer}», which is not installed. Run: npm install ${one.peer}@`);
  const range = message.split('@').at(-1)!;
  expect(peerDependencies[one.peer]).toContain(range);
  expect(peerDependenciesMeta[one.peer]).toEqual({ optional: true });
});
