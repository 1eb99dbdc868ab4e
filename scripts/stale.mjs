// Needs no package: it is used before any is installed.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Whether any of these files and folders is newer than what was made of them. */
export function isStale(output, inputs) {
  const built = statSync(output, { throwIfNoEntry: false })?.mtimeMs;
  return built === undefined || inputs.some((input) => newest(input) > built);
}

/** A folder's own time counts as well: it changes where a file is removed. */
function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return stat?.mtimeMs ?? 0;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
