// Installs the packed package into small applications (test/package) and runs each on every supported Node.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { entries } from './entries.mjs';
import { packPackage } from './tasks.mjs';

const nodeMajors = [20, 22, 24];
const applications = [
  { name: 'Nest 11 CJS', folder: 'nest11-cjs', nest: '11' },
  { name: 'Nest 12 ESM', folder: 'nest12-esm', nest: '12' },
];
const install = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
const jest = resolve('node_modules/jest/bin/jest.js');
const tsc = resolve('node_modules/typescript/bin/tsc');
const started = Date.now();
const failures = [];

const tarball = resolve(await packPackage());
const workspace = mkdtempSync(join(tmpdir(), 'nestjs-messaging-package-'));
try {
  progress('installing Node 20, 22 and 24, and the applications …');
  const nodes = await all(nodeMajors.map(nodeBinary));
  const folders = await all(applications.map(prepare));
  for (const [at, application] of applications.entries()) {
    for (const [index, node] of nodes.entries()) await check(application, folders[at], nodeMajors[index], node);
  }
  await checkCommandLine(nodes);
  for (const folder of folders) await checkTypes(folder);
} catch (error) {
  failures.push(error.message);
} finally {
  rmSync(workspace, { recursive: true, force: true });
}
for (const failure of failures) console.log(`✗ ${failure}`);
progress(failures.length === 0 ? 'all as it should be' : `${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** One application on one Node. */
async function check(application, folder, major, node) {
  const cell = `${application.name} · Node ${major}`;
  try {
    const found = await runJson(node, folder, 'main.js');
    const { health } = found;
    expect(found.node.startsWith(`${major}.`), `ran on Node ${found.node}`);
    expect(found.nest.startsWith(`${application.nest}.`), `ran on Nest ${found.nest}`);
    expect(health.status === 200 && health.body.info?.messaging?.state === 'up', `health: ${JSON.stringify(health)}`);
    expect(health.body.info.messaging.consumers[0]?.state === 'consuming', 'its consumer does not consume');
    expect(found.outcome === 'confirmed' && found.handled.item === 'book', `the message: ${JSON.stringify(found)}`);
    expect(found.oneCopy, 'import and require gave two copies of the package');

    const { failures: refused, lost, names } = await runJson(node, folder, 'concurrent.js');
    expect(refused.length === 0, `imported side by side: ${refused.join(', ')}`);
    expect(lost.length === 0 && names > 0, `names that cannot be imported: ${lost.join(', ')}`);

    const missing = await runJson(node, folder, 'missing-peer.js');
    expect(missing.isMissingPeer && missing.message.includes('npm install amqplib'), JSON.stringify(missing));
    await checkDashboard(node, folder);
    await checkJsonLog(node, folder, application.nest);
    await checkJest(node, folder);
    console.log(`${cell}: booted, healthy, 1 message handled (Nest ${found.nest}, Node ${found.node})`);
  } catch (error) {
    failures.push(`${cell}: ${error.message}`);
  }
}

/** The pages of the dashboard are in the package, and are served on Express and on Fastify. */
async function checkDashboard(node, folder) {
  const wanted = { stranger: 401, login: 204, script: true, service: 'packed', action: 200 };
  const visit = JSON.stringify({ ...wanted, states: ['consuming', 'paused'] });
  const found = await runJson(node, folder, 'dashboard.js');
  for (const platform of ['express', 'fastify'])
    expect(
      JSON.stringify(found[platform]) === visit,
      `the dashboard on ${platform}: ${JSON.stringify(found[platform])}`,
    );
}

/** Nest's own JSON logger: a line is one record, with its fields where docs/operating.md says that they are. */
async function checkJsonLog(node, folder, nest) {
  const { output } = await ended(node, ['dist/json-log.js'], folder);
  const lines = output.split('\n').filter((line) => line.startsWith('{"level":"warn"'));
  const record = lines.map((line) => JSON.parse(line)).find((one) => JSON.stringify(one).includes('order.failed:dlq'));
  const { params, message } = record ?? {};
  const fields = nest === '11' ? message : params;
  const { queue, id, attempt, reason, stack } = fields ?? {};
  const found = JSON.stringify(record);
  expect(queue === 'packed:order.failed:queue' && id === 'the-id' && attempt === 1, `JSON logger: ${found}`);
  expect(reason !== undefined && stack?.startsWith('TypeError: out of stock'), `JSON logger: ${found}`);
  expect(nest === '11' || typeof message === 'string', `JSON logger: ${found}`);
}

/** In Jest's ES modules, with the Jest of this repository. */
async function checkJest(node, folder) {
  const config = JSON.stringify({ rootDir: join(folder, 'jest'), testMatch: ['**/*.spec.mjs'], transform: {} });
  const { code, output } = await ended(node, ['--experimental-vm-modules', jest, '--config', config], folder);
  expect(code === 0, `in Jest's ES modules: ${output}`);
}

/** The command line: as it is documented, then on every Node: it waits for its server, and ends in order. */
async function checkCommandLine(nodes) {
  const documented = /^npx (-p nestjs-messaging .*)$/m.exec(readFileSync('docs/requeue.md', 'utf8'))?.[1];
  const [packages, words] = documented.split(' nestjs-messaging requeue ');
  const names = packages.split(/ ?-p /).slice(1);
  const specs = names.map((name) => (name === 'nestjs-messaging' ? tarball : name));
  const folder = join(workspace, 'command-line');
  mkdirSync(folder);
  try {
    const exec = ['exec', '--yes', ...specs.map((spec) => `--package=${spec}`), '--', 'nestjs-messaging', 'requeue'];
    const help = await command('npm', [...exec, '--help'], folder);
    for (const [flag] of words.matchAll(/--[a-z-]+/g)) expect(help.includes(flag), `requeue --help lacks ${flag}`);

    await command('npm', [...install, '--prefix', folder, tarball], folder);
    const bin = join(folder, 'node_modules/.bin/nestjs-messaging');
    const args = ['requeue', '--servers', 'nats://127.0.0.1:1', '--data-dir', join(folder, 'data')];
    const missing = await ended(nodes[1], [bin, ...args], folder);
    expect(missing.code === 1 && missing.output.includes('npm install @nats-io/transport-node@'), missing.output);

    await command('npm', [...install, '--prefix', folder, tarball, ...names.slice(1)], folder);
    for (const [index, node] of nodes.entries()) {
      const { code, output } = await untilThenStop(node, [bin, ...args], folder, 'cannot be reached');
      expect(code === 0 && output.includes('"Ended"'), `requeue on Node ${nodeMajors[index]} (${code}): ${output}`);
      console.log(`requeue · Node ${nodeMajors[index]}: waited for its server, ended in order`);
    }
  } catch (error) {
    failures.push(`the command line: ${error.message}`);
  }
}

/** Sends SIGTERM when the text has been written. */
function untilThenStop(file, args, cwd, text) {
  return ended(file, args, cwd, (child, output) => {
    if (output.includes(text) && !child.killed) child.kill('SIGTERM');
  });
}

/** The application with the tarball in it, compiled against the types of its own Nest. */
async function prepare({ name, folder }) {
  const target = join(workspace, folder);
  cpSync(join('test/package', folder), target, { recursive: true });
  cpSync('test/package/app', join(target, 'src'), { recursive: true });
  cpSync('test/package/jest', join(target, 'jest'), { recursive: true });
  for (const file of ['tsconfig.app.json', 'tsconfig.declarations.json']) {
    cpSync(join('test/package', file), join(target, file));
  }
  await command('npm', [...install, tarball], target);
  if (existsSync(join(target, 'node_modules/amqplib'))) throw new Error(`${name}: amqplib is there, but is optional`);
  await command(process.execPath, [tsc, '-p', 'tsconfig.app.json'], target);
  await checkDeclarations(name, target);
  progress(`${name}: installed and compiled`);
  return target;
}

/** Our own declarations must hold where no optional broker client is installed. Those of other packages are not ours. */
async function checkDeclarations(name, target) {
  const { output } = await ended(process.execPath, [tsc, '-p', 'tsconfig.declarations.json', '--listFiles'], target);
  expect(output.includes('nestjs-messaging/dist'), `${name}: the declarations were not checked`);
  const faults = output.split('\n').filter((line) => /^(src|.*nestjs-messaging\/dist).*error TS/.test(line));
  expect(faults.length === 0, `${name}: its declarations:\n${faults.join('\n')}`);
}

/** Every entry without any optional peer, and each broker's options, however an application resolves the package. */
async function checkTypes(target) {
  cpSync('test/package/types', join(target, 'types'), { recursive: true });
  const imports = entries().map(({ path }, at) => `import * as entry${at} from 'nestjs-messaging${path.slice(1)}';\n`);
  const all = imports.map((_, at) => `entry${at}`);
  writeFileSync(join(target, 'types/entries.ts'), `${imports.join('')}export const entries = [${all.join(', ')}];\n`);
  await command('npm', ['uninstall', '@nestjs/terminus', '--no-audit', '--no-fund', '--no-package-lock'], target);
  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
    ['commonjs', 'node10'],
  ]) {
    const options = ['--module', module, '--moduleResolution', resolution, '--ignoreDeprecations', '6.0'];
    const args = [tsc, '-p', 'types/tsconfig.json', ...options];
    const { output } = await ended(process.execPath, args, target);
    const faults = output.split('\n').filter((line) => /^(types|.*nestjs-messaging\/dist).*error TS/.test(line));
    expect(faults.length === 0, `${target}, ${resolution}:\n${faults.join('\n')}`);
    progress(`types by ${resolution}: every entry without its peer, and a misspelt option is an error`);
  }
}

/** Node in that major version: this one, or the npm package «node», kept for the next time. */
async function nodeBinary(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'nestjs-messaging', `node-${major}`);
  const binary = join(cache, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(binary)) {
    mkdirSync(cache, { recursive: true });
    await command('npm', [...install, '--prefix', cache, `node@${major}`], cache);
  }
  return binary;
}

async function runJson(node, folder, file) {
  const output = await command(node, [join('dist', file)], folder);
  expect(!output.includes('Warning'), output);
  return JSON.parse(output.trim().split('\n').at(-1));
}

async function command(file, args, cwd) {
  const { code, output } = await ended(file, args, cwd);
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${code}:\n${output.trim()}`);
  return output;
}

function ended(file, args, cwd, onOutput = () => {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, shell: process.platform === 'win32' && file === 'npm', timeout: 600_000 });
    let output = '';
    const add = (data) => {
      output += data;
      onOutput(child, output);
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

/** As Promise.all, but nothing runs on when it rejects. */
async function all(promises) {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function expect(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

function progress(text) {
  console.log(`[${((Date.now() - started) / 1000).toFixed(0)} s] ${text}`);
}
