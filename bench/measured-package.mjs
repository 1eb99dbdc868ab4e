import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));

/** Gives `work` a copy of the built package, since a build elsewhere would take it away in the middle of a run. */
export async function withPackage(from = project, work) {
  mkdirSync(join(project, '.build'), { recursive: true });
  const directory = mkdtempSync(join(project, '.build/bench-'));
  try {
    await work(copyPackage(from, directory), directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function copyPackage(from, directory) {
  const target = join(directory, 'package');
  cpSync(resolve(from, 'dist'), join(target, 'dist'), { recursive: true });
  cpSync(resolve(from, 'package.json'), join(target, 'package.json'));
  return target;
}
