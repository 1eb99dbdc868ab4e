import { createRequire } from 'node:module';
import { join } from 'node:path';
import { npmFolderBesideBrokers, type NpmFolder } from '../../brokers/npm-folder.js';

/** The libraries as their lock file says, fetched once for all clones; or why they cannot be had. */
export function installLibraries(): NpmFolder {
  // Generating fetches a program that it does not use.
  const generate = 'PRISMA_SCHEMA_ENGINE_BINARY=/bin/true node_modules/.bin/prisma generate --schema schema.prisma';
  return npmFolderBesideBrokers('orms', __dirname, ['schema.prisma'], generate);
}

/** `require` from there. */
export function requireFrom(folder: string): NodeRequire {
  return createRequire(join(folder, 'package.json'));
}
