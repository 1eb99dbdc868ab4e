import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newDirectory } from '../brokers/run-directory.js';

/** The built package where Nest is installed, and no package of OpenTelemetry. */
const program = `
  import 'reflect-metadata';
  import { Module } from '@nestjs/common';
  import { NestFactory } from '@nestjs/core';
  import { MessagingModule, MissingPeerError, Publisher } from './dist/index.mjs';
  import { openTelemetry } from './dist/opentelemetry.mjs';

  async function boot(options) {
    class AppModule {}
    Module({ imports: [MessagingModule.forRoot({ unroutable: 'ignore', ...options })] })(AppModule);
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
    const { outcome } = await app.get(Publisher).publish('order', 1);
    await app.close();
    return outcome;
  }
  const without = await boot({});
  const error = await boot({ telemetry: openTelemetry() }).catch((error) => error);
  console.log(JSON.stringify([without, error instanceof MissingPeerError, error.code, error.message]));
`;

let directory: string;

beforeAll(() => {
  const root = resolve(__dirname, '../..');
  directory = newDirectory('missing-opentelemetry');
  cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true });
  mkdirSync(join(directory, 'node_modules'));
  for (const name of ['@nestjs', 'reflect-metadata', 'rxjs'])
    symlinkSync(join(root, 'node_modules', name), join(directory, 'node_modules', name));
  writeFileSync(join(directory, 'main.mjs'), program);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('without @opentelemetry/api everything works; telemetry: openTelemetry() fails the boot with the command that installs it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['main.mjs'], { cwd: directory, timeout: 30_000 });
  expect(JSON.parse(stdout)).toEqual([
    'confirmed',
    true,
    'MISSING_PEER',
    'openTelemetry() needs the package «@opentelemetry/api», which is not installed. Run: npm install @opentelemetry/api@^1.9',
  ]);
});
