#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { redactUrl } from '../transports/kit/redactor.js';
import { main } from './main.js';

// Whoever reads this process's output may go away; that is no reason to end.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const args = process.argv.slice(2);
// Everybody on the machine can read the title of a process, which is its command line until it is set.
if (args.some((word) => word.includes('@'))) process.title = ['nestjs-messaging', ...args.map(redactUrl)].join(' ');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const { stdin, stdout, stderr, env } = process;
void main(args, { stdin, stdout, stderr, env, version }).then((code) => {
  process.exitCode = code;
});
