import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { npmFolder } from '../brokers/npm-folder.js';

/** They import Nest, and have to find that of the tests: the same classes are its tokens. */
const OF_NEST = ['nestjs-cls', 'nestjs-pino', '@nestjs/cqrs', '@nestjs/event-emitter'];

/** Loads the packages that handlers are tested beside; undefined where they cannot be had. */
export function integrationPackages(): ((name: string) => any) | undefined {
  const { folder } = npmFolder('integrations', __dirname);
  if (folder === undefined) return undefined;
  const modules = besideNest(folder);
  const ofCache = createRequire(join(folder, 'package.json'));
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- what the test runner loads has the Nest of the tests
  return (name) => require(OF_NEST.includes(name) ? join(modules, name) : ofCache.resolve(name)) as unknown;
}

/** Copies of those inside of this clone, beside links to all else. */
function besideNest(folder: string): string {
  const parent = resolve(__dirname, '../../.build');
  const target = join(parent, basename(folder));
  if (existsSync(target)) return join(target, 'node_modules');
  const making = join(parent, `${basename(folder)}-${process.pid}`);
  for (const name of packagesIn(join(folder, 'node_modules'))) {
    const [from, to] = [join(folder, 'node_modules', name), join(making, 'node_modules', name)];
    mkdirSync(dirname(to), { recursive: true });
    if (OF_NEST.includes(name)) cpSync(from, to, { recursive: true });
    else symlinkSync(from, to);
  }
  try {
    renameSync(making, target);
  } catch (error) {
    // Another file of the same run was first.
    if (!existsSync(target)) throw error;
    rmSync(making, { recursive: true });
  }
  return join(target, 'node_modules');
}

function packagesIn(modules: string): string[] {
  return readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((one) => `${name}/${one}`) : [name],
    );
}
