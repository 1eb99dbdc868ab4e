import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const variable = 'MESSAGING_TEST_DIRECTORY';
const prefix = 'nestjs-messaging-test-';
const day = 24 * 60 * 60 * 1000;

/** A new folder for one broker, inside the folder of this test run where there is one. */
export function newDirectory(name: string): string {
  return mkdtempSync(join(process.env[variable] ?? tmpdir(), `${prefix}${name}-`));
}

export function createRunDirectory(): void {
  removeAbandoned();
  process.env[variable] = newDirectory('run');
}

export function removeRunDirectory(): void {
  const directory = process.env[variable];
  if (directory === undefined) return;
  delete process.env[variable];
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** What runs that crashed left behind. */
function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const path = join(tmpdir(), name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > day) rmSync(path, { recursive: true, force: true });
  }
}
