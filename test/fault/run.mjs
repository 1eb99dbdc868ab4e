// The fault matrix: `npm run test:fault -- --help`; the stress run: `npm run test:stress -- --help`.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile } from './compile.mjs';

const { target, remove } = compile(`run-${process.pid}`);
try {
  const load = createRequire(pathToFileURL(join(target, 'x.js')));
  const [first, ...rest] = process.argv.slice(2);
  const { results } =
    first === 'stress'
      ? await load('./test/fault/stress.js').stress(target, rest)
      : await load('./test/fault/main.js').main(target, process.argv.slice(2));
  const failed = results.filter(({ problems }) => problems.length > 0);
  if (results.length > 0) console.log(`${results.length - failed.length} of ${results.length} cells passed`);
  if (failed.length > 0) process.exitCode = 1;
} finally {
  remove();
}
