import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where what was fetched once stays, shared by all clones of the project. */
export function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'nestjs-messaging');
}
