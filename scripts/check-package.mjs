// Packs the package as it would be published and has publint and attw look at the tarball.
import { packPackage, run } from './tasks.mjs';

const tarball = packPackage();
run('publint', 'run', tarball, '--strict');
run('attw', tarball);
