import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '../cache-directory.js';
import { withFileLock } from '../file-lock.js';
import { runCommand } from '../run-command.js';

/** The emulators, each for what it gets right. */
export const emulators = ['moto', 'fauxqs'] as const;
export type Emulator = (typeof emulators)[number];

const manifest = JSON.parse(readFileSync(join(__dirname, 'package.json'), 'utf8')) as {
  dependencies: { fauxqs: string };
};

export const emulatorVersions: Readonly<Record<Emulator, string>> = {
  moto: /^moto==(.+)$/m.exec(readFileSync(join(__dirname, 'requirements.txt'), 'utf8'))![1],
  fauxqs: manifest.dependencies.fauxqs,
};

const npm = ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'];

/** How the packages come into a folder, by the list beside this. */
const installers: Readonly<Record<Emulator, { readonly from: string; install(folder: string): Promise<unknown> }>> = {
  moto: {
    from: 'PyPI',
    async install(folder) {
      await runCommand('python3', ['-m', 'venv', folder]);
      const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--disable-pip-version-check'];
      await runCommand(pythonIn(folder), [...pip, '-r', join(__dirname, 'requirements.txt')]);
    },
  },
  fauxqs: {
    from: 'npm',
    async install(folder) {
      for (const file of ['package.json', 'package-lock.json'])
        await copyFile(join(__dirname, file), join(folder, file));
      await runCommand('npm', [...npm, '--prefix', folder]);
    },
  },
};

export const pythonIn = (folder: string): string => join(folder, 'bin/python');

/** The folder with the emulator's packages, which are fetched the first time. Rejects where they cannot be had. */
export async function installEmulator(emulator: Emulator): Promise<string> {
  const title = `${emulator} ${emulatorVersions[emulator]}`;
  const folder = join(cacheDirectory(), title.replace(' ', '-'));
  if (existsSync(folder)) return folder;
  const { from, install } = installers[emulator];
  await mkdir(cacheDirectory(), { recursive: true, mode: 0o700 });
  await withFileLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    const building = `${folder}.building`;
    await rm(building, { recursive: true, force: true });
    await mkdir(building);
    try {
      process.stderr.write(`${title}: downloading from ${from}…\n`);
      await install(building);
      await rename(building, folder);
    } catch (error) {
      throw new Error(`not from ${from}: ${(error as Error).message.split('\n')[0]}`, { cause: error });
    } finally {
      await rm(building, { recursive: true, force: true });
    }
  });
  return folder;
}
