// Packs the package as it would be published, weighs the tarball, and has publint and attw look at it.
import { statSync } from 'node:fs';
import { packPackage, run } from './tasks.mjs';

const MOST_BYTES = 675_000;

const tarball = await packPackage();
const { size } = statSync(tarball);
console.log(`${tarball}: ${size} bytes of at most ${MOST_BYTES}`);
if (size > MOST_BYTES) process.exit(1);
run('publint', 'run', tarball, '--strict');
run('attw', tarball);
