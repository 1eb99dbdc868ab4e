// Runs a sample: `npm start` the first one, `npm start -- 02-…` another. Builds what is stale.
import { buildPackage, buildSamples } from './tasks.mjs';

buildPackage({ onlyIfStale: true });
buildSamples();

await import(`../.build/sample/${process.argv[2] ?? '01-shop'}/main.js`);
