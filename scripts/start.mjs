// Runs a sample: `npm start` the first one, `npm start -- 02-…` another. Installs and compiles only what samples need:
// a small copy of the package in .build/start, with the samples beside it, where they find it by its name.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compileFolder } from './compile.mjs';
import { uiAssetsModule } from './dashboard.mjs';
import { entries } from './entries.mjs';
import { installSome } from './install.mjs';
import { isStale } from './stale.mjs';
import { told } from './told.mjs';

const packages = [
  '@aws-sdk/client-sqs',
  '@nats-io/jetstream',
  '@nats-io/transport-node',
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/platform-express',
  '@nestjs/terminus',
  '@photostructure/sqlite',
  '@preact/signals',
  '@swc/core',
  'amqplib',
  'esbuild',
  'kafkajs',
  'pg',
  'preact',
  'reflect-metadata',
  'rxjs',
];
/** What one sample alone needs. */
const furtherPackages = { '08-outbox': ['typeorm'], '14-bridge': ['ioredis'] };

process.chdir(fileURLToPath(new URL('../', import.meta.url)));

const folder = '.build/start';
const [sample = '01-shop'] = process.argv.slice(2);
const samples = JSON.parse(readFileSync('sample/samples.json', 'utf8'));

if (Object.hasOwn(samples, sample)) {
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const compiled = entries().map(({ path, source }) => [path, `./${source.replace(/ts$/, 'js')}`]);
  const description = { name, version, private: true, type: 'module', exports: Object.fromEntries(compiled) };
  await installSome(folder, [...packages, ...(furtherPackages[sample] ?? [])], description);
  await compile();
  await import(`../${folder}/sample/${sample}/main.js`);
} else {
  console.error(`There is no sample «${sample}». npm start -- followed by one of these:\n`);
  for (const [name, subject] of Object.entries(samples)) console.error(`  ${name.padEnd(20)} ${subject}`);
  process.exitCode = 1;
}

async function compile() {
  const done = `${folder}/.compiled`; // written last
  if (!isStale(done, ['lib', 'sample', 'scripts/compile.mjs', 'scripts/dashboard.mjs', 'scripts/start.mjs'])) return;
  await told('Compiling', async () => {
    compileFolder('lib', `${folder}/lib`, 'es6');
    writeFileSync(`${folder}/lib/dashboard/ui-assets.js`, uiAssetsModule('es6', folder));
    compileFolder('sample', `${folder}/sample`, 'es6');
  });
  writeFileSync(done, '');
}
