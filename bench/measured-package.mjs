import { cpSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** A copy of the built package, since a build elsewhere would take it away in the middle of a run. */
export function copyPackage(from, directory) {
  const target = join(directory, 'package');
  cpSync(resolve(from, 'dist/esm'), join(target, 'dist/esm'), { recursive: true });
  cpSync(resolve(from, 'package.json'), join(target, 'package.json'));
  return target;
}
