// Runs the tests of the brokers that have several versions on the oldest of each: `npm test` has the newest. Arguments go to jest.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { buildPackage, run } from './tasks.mjs';

const FOLDER = 'test/brokers';

const ofSeveralVersions = readdirSync(FOLDER).filter((name) => {
  const provide = `${FOLDER}/${name}/provide.ts`;
  return existsSync(provide) && readFileSync(provide, 'utf8').includes('selectedVersions(');
});
process.env.TEST_VERSIONS ??= 'oldest';
await buildPackage({ onlyIfStale: true });
run('jest', '--findRelatedTests', ...ofSeveralVersions.map((name) => `${FOLDER}/${name}.ts`), ...process.argv.slice(2));
