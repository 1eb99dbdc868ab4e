// TypeScript to JavaScript, file by file, without a look at the types: for what is run from here.
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

// Functions and classes keep their names, which are seen in stacks and logs, and by Nest.
const LOCALS = { toplevel: false, keep_classnames: true, keep_fnames: true };

/** The options of swc; `module`: `es6` or `commonjs`. */
export function swcOptions(module) {
  return {
    swcrc: false,
    module: { type: module },
    jsc: {
      target: 'es2022',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
  };
}

/** The code of a file, without comments, and with short names for what is local to a function. */
export function compileFile(filename, module) {
  const { transformSync } = createRequire(resolve('compiled.js'))('@swc/core');
  const options = swcOptions(module);
  const jsc = { ...options.jsc, minify: { compress: false, mangle: LOCALS, format: { comments: false } } };
  return transformSync(readFileSync(filename, 'utf8'), { ...options, jsc, filename }).code;
}

/**
 * Compiles every file of a folder but its tests; `target` has, or is below, the node_modules with swc. Each output is
 * replaced as a whole: another process may be reading it.
 */
export function compileFolder(source, target, module) {
  const { transformSync } = createRequire(resolve(target, 'compiled.js'))('@swc/core');
  const options = swcOptions(module);
  for (const file of readdirSync(source, { recursive: true })) {
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts') || file.startsWith(join('dashboard', 'ui/'))) continue;
    const filename = join(source, file);
    const { code } = transformSync(readFileSync(filename, 'utf8'), { ...options, filename });
    const output = join(target, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(`${output}.${process.pid}`, code);
    renameSync(`${output}.${process.pid}`, output);
  }
}
