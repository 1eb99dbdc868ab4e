// Tries the packed package where no other test does: bundled, in two copies, on Deno and Bun. See docs/runtimes.md.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { startBroker, startNats } from '../bench/broker.mjs';
import { packPackage } from './tasks.mjs';

const VERSIONS = { deno: '2.9.6', bun: '1.4.5', rabbitmq: '4.3', nats: '2.15' };
const install = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
const nest = (major) => ({
  ...{ '@nestjs/common': `^${major}.0.0`, '@nestjs/core': `^${major}.0.0` },
  ...{ '@nestjs/platform-express': `^${major}.0.0`, 'reflect-metadata': '^0.2.2', rxjs: '^7.8.2' },
});
const clients = {
  ...{ amqplib: '^2.0.0', '@nats-io/transport-node': '^3.0.0', '@nats-io/jetstream': '^3.0.0' },
  '@photostructure/sqlite': '^1.2.1',
};
const tools = (major) => ({
  ...{ '@nestjs/cli': `^${major}.0.0`, '@types/node': '^20.19.0', typescript: '~5.9.3' },
  ...{ webpack: '^5.105.4', 'webpack-node-externals': '^3.0.0', 'ts-loader': '^9.5.4' },
  ...{ 'tsconfig-paths-webpack-plugin': '^4.2.0', 'fork-ts-checker-webpack-plugin': '^9.1.0' },
  ...(major === 12 && { '@rspack/core': '^2.3.0' }),
});
const compilerOptions = {
  ...{ target: 'ES2023', module: 'nodenext', moduleResolution: 'nodenext', strict: true, skipLibCheck: true },
  ...{ experimentalDecorators: true, emitDecoratorMetadata: true, types: ['node'] },
  ...{ declaration: true, rootDir: 'src', outDir: 'dist' },
};
const seen = { outcome: 'confirmed', packed: ['book', 'wobbly', 'lamp'], reason: 'unrecoverable' };
const expected = { ...seen, error: 'No lamp in stock', done: 1, delayed: 'confirmed', status: 'up' };

const tarball = resolve(await packPackage());
mkdirSync('.build', { recursive: true });
const starters = mkdtempSync(resolve('.build/runtimes-'));
const workspace = mkdtempSync(join(tmpdir(), 'nestjs-messaging-runtimes-'));
const stops = [];
let failures = 0;
try {
  const rabbit = await startBroker(VERSIONS.rabbitmq, starters);
  stops.push(rabbit.stop);
  const nats = await startNats(VERSIONS.nats, starters);
  stops.push(nats.stop);
  const brokers = { AMQP_URL: rabbit.url, NATS_URL: nats.url };
  const runtimes = await project('runtimes', { dependencies: { deno: VERSIONS.deno, bun: VERSIONS.bun } });
  const deno = [join(runtimes, 'node_modules/.bin/deno'), 'run', '-A'];
  const bun = [join(runtimes, 'node_modules/.bin/bun')];
  for (const major of [11, 12]) {
    const folder = await application(major);
    const nestBuild = (...args) => ended(join(folder, 'node_modules/.bin/nest'), ['build', ...args], folder);
    const tsc = () => ended(join(folder, 'node_modules/.bin/tsc'), ['-p', '.'], folder);
    const tried = (title, command, file) => journeys(`Nest ${major}, ${title}`, command, file ?? folder, brokers);
    await tsc();
    await tried('Node', [process.execPath]);
    await tried('Bun', bun);
    await tried('Deno', deno);
    await nestBuild(...(major === 11 ? ['--webpack'] : ['--builder', 'rspack']));
    await tried(major === 11 ? 'webpack with externals' : 'rspack with externals', [process.execPath]);
    if (major === 12) continue;
    await nestBuild('--webpack', '--webpackPath', 'bundle.config.cjs');
    const alone = join(workspace, 'alone');
    cpSync(join(folder, 'dist'), join(alone, 'dist'), { recursive: true });
    await tried('webpack, one file alone', [process.execPath], alone);
  }
  await attempt('two copies in a workspace', twoCopies);
} finally {
  for (const stop of stops.reverse()) await stop();
  for (const folder of [workspace, starters]) rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;

/** The journey on every broker, and with the retry queue on the disk. */
async function journeys(title, [program, ...args], folder, brokers) {
  const isAlone = folder.endsWith('alone');
  const kinds = ['memory', 'rabbitmq', 'nats', ...(isAlone ? [] : ['disk'])];
  for (const kind of kinds) {
    await attempt(`${title}: ${kind}`, async () => {
      const transport = kind === 'disk' ? 'memory' : kind;
      const disk = kind === 'disk' && { DISK: mkdtempSync(join(workspace, 'disk-')) };
      const output = await ended(program, [...args, 'dist/main.js'], folder, {
        ...brokers,
        TRANSPORT: transport,
        ...disk,
      });
      expect(output, { ...expected, store: kind === 'disk' ? 'disk' : 'memory' });
    });
  }
}

async function twoCopies() {
  const folder = await project('two-copies', { workspaces: ['packages/*'], dependencies: nest(11) });
  for (const name of ['billing', 'app']) {
    const target = join(folder, 'packages', name);
    const dependencies = { 'nestjs-messaging': `file:${tarball}` };
    const copy = await project(
      `two-copies/packages/${name}`,
      { type: 'commonjs', main: 'dist/billing.js', dependencies },
      ['--workspaces=false', '--install-links', '--legacy-peer-deps'],
    );
    const file = name === 'app' ? 'main.ts' : 'billing.ts';
    if (name === 'billing') symlinkSync(copy, join(folder, 'node_modules/billing'), 'junction');
    cpSync(join('test/runtimes/two-copies', file), join(copy, 'src', file));
    await ended(resolve('node_modules/.bin/tsc'), ['-p', '.', '--typeRoots', resolve('node_modules/@types')], target);
  }
  const output = await ended(process.execPath, ['packages/app/dist/main.js'], folder);
  expect(output, { publishers: 2, billed: ['book', 'later'], reason: 'unrecoverable' });
}

async function application(major) {
  const dependencies = { ...nest(major), ...clients, 'nestjs-messaging': `file:${tarball}` };
  const type = major === 11 ? 'commonjs' : 'module';
  const folder = await project(`nest${major}`, { type, dependencies, devDependencies: tools(major) });
  cpSync('test/runtimes/journey.ts', join(folder, 'src/main.ts'));
  cpSync('test/runtimes/bundle.config.cjs', join(folder, 'bundle.config.cjs'));
  return folder;
}

/** A folder with that manifest, installed. */
async function project(name, manifest, flags = []) {
  const folder = join(workspace, name);
  mkdirSync(join(folder, 'src'), { recursive: true });
  const write = (file, content) => writeFileSync(join(folder, file), JSON.stringify(content));
  write('package.json', { name: name.split('/').at(-1), private: true, ...manifest });
  write('tsconfig.json', { compilerOptions, include: ['src'] });
  write('nest-cli.json', { sourceRoot: 'src' });
  await ended('npm', [...install, ...flags], folder);
  return folder;
}

async function attempt(title, work) {
  try {
    await work();
    console.log(`✓ ${title}`);
  } catch (error) {
    failures++;
    console.log(`✗ ${title}: ${error.message}`);
  }
}

function expect(output, wanted) {
  const found = JSON.parse(output.trim().split('\n').at(-1));
  if (!isDeepStrictEqual(found, wanted)) throw new Error(JSON.stringify(found));
}

/** What a command writes; it has to end well. */
function ended(file, args, cwd, env = {}) {
  return new Promise((done, fail) => {
    const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, timeout: 600_000 });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', fail);
    child.on('close', (code, signal) =>
      code === 0
        ? done(output)
        : fail(new Error(`${file} ended with ${code ?? signal}:\n${output.trim().slice(-2_000)}`)),
    );
  });
}
