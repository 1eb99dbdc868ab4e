import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const variable = 'MESSAGING_TEST_DIRECTORY';
const prefix = 'nestjs-messaging-test-';
const day = 24 * 60 * 60 * 1000;
/** The type of such a file system, of statfs. */
const TMPFS = 0x01021994;
const memoryFolder = '/dev/shm';
/** What the brokers of a run take at most, with room to spare. */
const enough = 4 * 2 ** 30;

/** A new folder for one broker, inside the folder of this test run where there is one, or inside of another. */
export function newDirectory(name: string, within = process.env[variable] ?? tmpdir()): string {
  return mkdtempSync(join(within, `${prefix}${name}-`));
}

/** In memory where there is room: brokers sync all the time, and no test takes the power away. */
export function createRunDirectory(): void {
  for (const folder of [tmpdir(), memoryFolder]) removeAbandoned(folder);
  process.env[variable] = mkdtempSync(join(hasRoom(memoryFolder) ? memoryFolder : tmpdir(), `${prefix}run-`));
}

export function removeRunDirectory(): void {
  const directory = process.env[variable];
  if (directory === undefined) return;
  delete process.env[variable];
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** A tmpfs, and writable. */
function hasRoom(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    const { type, bavail, bsize } = statfsSync(folder);
    return type === TMPFS && bavail * bsize >= enough;
  } catch {
    return false;
  }
}

/** What runs that crashed left behind. */
function removeAbandoned(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix)) continue;
    const path = join(folder, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > day) rmSync(path, { recursive: true, force: true });
  }
}
