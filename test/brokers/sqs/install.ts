import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '../cache-directory.js';
import { withFileLock } from '../file-lock.js';
import { runCommand } from '../run-command.js';

const manifest = JSON.parse(readFileSync(join(__dirname, 'package.json'), 'utf8')) as {
  dependencies: { fauxqs: string };
};

export const emulatorVersion = manifest.dependencies.fauxqs;

/** The folder with the emulator's packages, from npm the first time, by the lock file beside this. Rejects where that cannot be. */
export async function installEmulator(): Promise<string> {
  const folder = join(cacheDirectory(), `fauxqs-${emulatorVersion}`);
  if (existsSync(folder)) return folder;
  await mkdir(cacheDirectory(), { recursive: true, mode: 0o700 });
  await withFileLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    const building = `${folder}.building`;
    await rm(building, { recursive: true, force: true });
    await mkdir(building);
    try {
      for (const file of ['package.json', 'package-lock.json'])
        await copyFile(join(__dirname, file), join(building, file));
      process.stderr.write(`fauxqs ${emulatorVersion}: downloading from npm…\n`);
      await runCommand('npm', [
        'ci',
        '--prefix',
        building,
        '--omit=dev',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
      ]);
      await rename(building, folder);
    } catch (error) {
      throw new Error(`not from npm: ${(error as Error).message.split('\n')[0]}`, { cause: error });
    } finally {
      await rm(building, { recursive: true, force: true });
    }
  });
  return folder;
}
