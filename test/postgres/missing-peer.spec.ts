import { execFile } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newDirectory } from '../brokers/run-directory.js';

/** The built package where no client of PostgreSQL is installed. */
const program = `
  import { MissingPeerError } from './dist/esm/errors/configuration-errors.js';
  import { systemClock } from './dist/esm/clock/clock.js';
  import { postgres } from './dist/esm/transports/postgres/postgres.js';
  const reconnect = { initial: 10, max: 10, jitter: 0 };
  const environment = { clock: systemClock, service: 's', random: Math.random, reconnect, confirmTimeout: 1000 };
  await postgres().create().connect({ ...environment, provision: true, onEvent: () => {} }).catch((error) =>
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

test('without pg the boot fails with the command that installs it', async () => {
  expect(await failure()).toEqual([
    true,
    'MISSING_PEER',
    'The PostgreSQL transport needs the package «pg», which is not installed. Run: npm install pg@^8.16',
  ]);
});
