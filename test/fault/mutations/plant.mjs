// Puts faults into a copy of the package, and finds out which of them have no place any more.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FAULTS = 'test/fault/faults';

/** Changes files below `root`, and gives what changes them back. Throws when a text is not there exactly once. */
export function plant(edits, root) {
  const { before, after } = edited(edits, root);
  for (const [path, source] of after) writeFileSync(path, source);
  return () => before.forEach((source, path) => writeFileSync(path, source));
}

/** Why faults of the list cannot be planted, or tested, in the package at `root`; empty when all can. */
export function staleEntries(mutations, root) {
  return mutations.flatMap(({ name, edits, caughtBy }) => {
    try {
      edited(edits, root);
      checkTest(caughtBy, root);
      return [];
    } catch (error) {
      return [`«${name}»: ${error.message}`];
    }
  });
}

function edited(edits, root) {
  const before = new Map();
  const after = new Map();
  for (const [file, text, replacement] of edits) {
    const path = join(root, file);
    if (!existsSync(path)) throw new Error(`there is no ${file}`);
    if (!before.has(path)) before.set(path, readFileSync(path, 'utf8'));
    const source = after.get(path) ?? before.get(path);
    const times = source.split(text).length - 1;
    if (times !== 1) throw new Error(`${file} has this ${times} times, not once: ${text}`);
    after.set(
      path,
      source.replace(text, () => replacement),
    );
  }
  return { before, after };
}

function checkTest({ file, test, cell }, root) {
  const places = cell === undefined ? [file] : readdirSync(join(root, FAULTS)).map((one) => `${FAULTS}/${one}`);
  const named = cell === undefined ? test : `name: '${cell}'`;
  if (!places.some((place) => existsSync(join(root, place)) && readFileSync(join(root, place), 'utf8').includes(named)))
    throw new Error(`no ${cell === undefined ? `test in ${file}` : 'cell'} is called «${cell ?? test}»`);
}
