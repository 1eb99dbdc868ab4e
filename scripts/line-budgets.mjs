// Holds how large lib and its transports may be. `most` only falls; where it is above `target`, that is still to be reached.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What a transport may have that is not named here. */
const TRANSPORT = { most: 1_200, target: 1_200, files: 15 };

const budgets = {
  lib: { most: 86_000, target: 36_500 },
  'lib/dashboard': { most: 3_090, target: 3_090 },
  'lib/transports/kafka': { most: 3_460, target: 1_500 },
  'lib/transports/kit': { most: 2_560, target: 1_350 },
  // With the broker in it.
  'lib/transports/memory': { most: 2_080, target: 1_200 },
  'lib/transports/nats': { most: 4_320, target: 2_700 },
  'lib/transports/postgres': { most: 1_760, target: 1_200, files: 15 },
  'lib/transports/redis': { most: 2_300, target: 1_200, files: 15 },
  'lib/transports/sqs': { most: 3_480, target: 1_200, files: 26 },
  'lib/transports/rabbitmq': { most: 6_690, target: 3_500 },
};

/** Lines of all kinds, as `wc -l` counts them. */
export function measure(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.ts'));
  const lines = files.reduce((sum, name) => sum + readFileSync(join(folder, name), 'utf8').split('\n').length - 1, 0);
  return { lines, files: files.length };
}

/** What is over its budget, in words. */
export function overBudget() {
  const transports = readdirSync('lib/transports', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `lib/transports/${name}`);
  return ['lib', 'lib/dashboard', ...transports].flatMap((folder) => {
    const { most, target, files: mostFiles = Infinity } = budgets[folder] ?? TRANSPORT;
    const { lines, files } = measure(folder);
    return [
      ...(lines > most ? [`${folder} has ${lines} lines, of at most ${most} (to become ${target})`] : []),
      ...(files > mostFiles ? [`${folder} has ${files} files, of at most ${mostFiles}`] : []),
    ];
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const problems = overBudget();
  for (const problem of problems) console.log(problem);
  if (problems.length > 0) process.exitCode = 1;
}
