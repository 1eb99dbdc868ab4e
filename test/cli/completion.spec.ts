import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from '../brokers/wait-for.js';
import { hasTerminal } from '../dead-letters/support/terminal.js';
import { Cli } from '../requeue/support/process.js';
import { findShell, type ShellProgram } from './support/shells.js';

/** A folder in which everything of a test is: what is completed, the scripts, and the program that is called. */
const folder = mkdtempSync(join(tmpdir(), 'completion-'));
const called = join(folder, 'called');
const asked = join(folder, 'asked');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'archive of mine.sqlite'), '');
  // Stands in for the program: notes its words, and has queues.
  const program = `#!/bin/sh
if [ "$2" = --names ]; then echo "$*" >> ${asked}; printf '%s\\n' shop:paid:queue shop:paid:dlq 'shop:paid$(touch ${folder}/bad)'; exit; fi
printf '%s\\n' "$@" > ${called}.part && mv ${called}.part ${called}
`;
  writeFileSync(join(folder, 'bin/nestjs-messaging'), program, { mode: 0o755 });
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await Cli.run('completion', shell);
    expect(code).toBe(0);
    writeFileSync(join(folder, `script.${shell}`), stdout);
  }
});

/** What is typed behind the name of the program, with tabs, and the words that it is called with then. */
const LINES: [typed: string, words: string[]][] = [
  ['que\t--serv\tshop', ['queues', '--service', 'shop']],
  ['dead-let\tlis\t--js\t', ['dead-letters', 'list', '--json']],
  ['dead-letters redr\t--allow-r\ty\t', ['dead-letters', 'redrive', '--allow-retry', 'yes']],
  ['dead-letters --servi\tshop', ['dead-letters', '--service', 'shop']],
  [
    `dead-letters list --archive ${folder}/arch\t`,
    ['dead-letters', 'list', '--archive', `${folder}/archive of mine.sqlite`],
  ],
  [`requeue insp\t--data-d\t${folder}/dat\t`, ['requeue', 'inspect', '--data-dir', `${folder}/data`]],
  ['requeue --max-by\t5', ['requeue', '--max-bytes', '5']],
  ['completion zs\t', ['completion', 'zsh']],
  ['--vers\t', ['--version']],
  ['dead-letters list --queue shop:paid:d\t', ['dead-letters', 'list', '--queue', 'shop:paid:dlq']],
  ['queues --json --queue shop:paid:q\t', ['queues', '--json', '--queue', 'shop:paid:queue']],
];

/** A shell that is typed at. */
class Typing {
  private readonly child: ChildProcess;
  private text = '';

  constructor({ program, env }: ShellProgram, args: string) {
    const line = `stty cols 200 rows 24; exec ${program} ${args}`;
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', 'script', '-qefc', line, '/dev/null'], {
      env: {
        ...process.env,
        ...env,
        TERM: 'xterm',
        SHELL: '/bin/sh',
        HOME: folder,
        PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdin!.on('error', () => undefined);
    this.child.stdout!.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
  }

  type(keys: string): void {
    this.child.stdin!.write(keys);
  }

  /** The words that the program was called with at the end of this line. */
  async callOf(line: string): Promise<string[]> {
    rmSync(called, { force: true });
    this.type(`${line}\r`);
    await waitFor(() => existsSync(called), `a call, in ${JSON.stringify(this.text)}`, 30_000);
    const words = readFileSync(called, 'utf8').trimEnd().split('\n');
    // Zsh joins an option and its value, and takes the slash off a folder at the end of a line.
    return words.flatMap((word) => word.split(/(?<=^--[a-z-]+)=/)).map((word) => word.replace(/\/$/, ''));
  }

  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await new Promise((done) => this.child.once('close', done));
  }
}

const START: Readonly<Record<'bash' | 'zsh', { readonly args: string; readonly init: string }>> = {
  bash: { args: '--norc --noprofile -i', init: '' },
  zsh: {
    args: '-f -i',
    init: '[[ -n $ZSH_MODULES ]] && module_path=($ZSH_MODULES); autoload -Uz compinit && compinit -D -u; ',
  },
};

describe.each(['bash', 'zsh'] as const)('on a terminal, in %s', (name) => {
  let typing: Typing | undefined;
  afterEach(async () => {
    await typing?.end();
    typing = undefined;
  });

  test('commands, options, paths, values and names of queues are completed', async () => {
    const shell = hasTerminal ? await findShell(name) : 'there is no `script` of util-linux';
    if (typeof shell === 'string') return void console.error(`SKIPPED: completion was not tried in ${name}: ${shell}`);
    const { args, init } = START[name];
    typing = new Typing(shell, args);
    typing.type(`${init}source ${folder}/script.${name}\r`);
    const found: typeof LINES = [];
    for (const [typed] of LINES) found.push([typed, await typing.callOf(`nestjs-messaging ${typed}`)]);
    expect(found).toEqual(LINES);
    expect(readFileSync(asked, 'utf8')).toContain('queues --names --timeout 2s --service shop');
    expect(existsSync(join(folder, 'bad'))).toBe(false);
  }, 180_000);
});

test('in fish, commands, options, values and names of queues are completed', async () => {
  const shell = await findShell('fish');
  if (typeof shell === 'string') return void console.error(`SKIPPED: completion was not tried in fish: ${shell}`);
  const complete = (typed: string): string[] => {
    const line = `set -p fish_function_path $FISH_FUNCTIONS; source ${folder}/script.fish; complete -C 'nestjs-messaging ${typed}'`;
    const { stdout, stderr } = spawnSync(shell.program, ['--no-config', '-c', line], {
      env: { ...process.env, ...shell.env, HOME: folder, PATH: `${join(folder, 'bin')}:${process.env.PATH}` },
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout
      .trimEnd()
      .split('\n')
      .map((one) => one.split('\t')[0]);
  };
  expect(complete('')).toEqual(expect.arrayContaining(['queues', 'dead-letters', 'requeue', 'completion']));
  expect(complete('dead-letters ')).toEqual(expect.arrayContaining(['list', 'show', 'redrive', 'delete']));
  expect(complete('requeue ')).not.toContain('list');
  expect(complete('dead-letters redrive --can')).toEqual(['--canary', '--canary-stages', '--canary-window']);
  expect(complete('dead-letters redrive --allow-retry ')).toEqual(['no', 'yes']);
  expect(complete('queues --json --queue shop:paid:q')).toEqual(['shop:paid:queue']);
  expect(complete(`requeue inspect --data-dir ${folder}/da`)).toEqual([`${folder}/data/`]);
  expect(complete(`dead-letters list --archive ${folder}/arch`)).toEqual([`${folder}/archive of mine.sqlite`]);
}, 120_000);
