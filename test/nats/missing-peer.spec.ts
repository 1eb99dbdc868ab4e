import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newDirectory } from '../brokers/run-directory.js';

/** The built package where no client of NATS is installed. */
const program = `
  import { MissingPeerError } from './dist/esm/errors/configuration-errors.js';
  import { systemClock } from './dist/esm/clock/clock.js';
  import { nats } from './dist/esm/transports/nats/nats.js';
  const reconnect = { initial: 10, max: 10, jitter: 0 };
  const environment = { clock: systemClock, service: 's', random: Math.random, reconnect, confirmTimeout: 1000 };
  await nats().create().connect({ ...environment, provision: true, onEvent: () => {} }).catch((error) =>
    console.log(JSON.stringify([error instanceof MissingPeerError, error.code, error.message])),
  );
`;

let directory: string;

beforeAll(() => {
  directory = newDirectory('missing-peer');
  cpSync(resolve(__dirname, '../../dist'), join(directory, 'dist'), { recursive: true });
  writeFileSync(join(directory, 'main.mjs'), program);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function failure(): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['main.mjs'], { cwd: directory, timeout: 20_000 });
  return JSON.parse(stdout);
}

test('without @nats-io/transport-node the boot fails with the command that installs it', async () => {
  expect(await failure()).toEqual([
    true,
    'MISSING_PEER',
    'The NATS transport needs the package «@nats-io/transport-node», which is not installed. Run: npm install @nats-io/transport-node@^3',
  ]);
});

test('without @nats-io/jetstream it does so as well', async () => {
  const modules = join(directory, 'node_modules/@nats-io');
  mkdirSync(modules, { recursive: true });
  symlinkSync(resolve(__dirname, '../../node_modules/@nats-io/transport-node'), join(modules, 'transport-node'));
  expect(await failure()).toEqual([
    true,
    'MISSING_PEER',
    'The NATS transport needs the package «@nats-io/jetstream», which is not installed. Run: npm install @nats-io/jetstream@^3',
  ]);
});
