import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = resolve(__dirname, '../../..');

/**
 * A folder of an application on Nest 11 that has golevelup's package and this one, as it is built, beside each other;
 * `peers`: where golevelup is installed.
 */
export class BesideGolevelup {
  readonly folder = mkdtempSync(join(tmpdir(), 'beside-golevelup-'));
  private readonly running = new Set<ChildProcess>();

  constructor(peers: string) {
    const installed = join(peers, 'node_modules');
    for (const name of readdirSync(installed).filter((one) => !one.startsWith('.') && one !== 'amqplib'))
      this.link(join(installed, name), name);
    this.link(join(root, 'node_modules/amqplib'), 'amqplib');
    const own = join(this.folder, 'node_modules/nestjs-messaging');
    cpSync(join(root, 'dist'), join(own, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(own, 'package.json'));
  }

  /** Compiles a folder of TypeScript into this one. */
  async compile(source: string): Promise<void> {
    const script = '../../../scripts/compile.mjs';
    const { compileFolder } = (await import(script)) as { compileFolder(...args: string[]): void };
    process.chdir(root);
    symlinkSync(join(root, 'node_modules/@swc'), join(this.folder, 'node_modules/@swc'));
    compileFolder(source, this.folder, 'commonjs');
  }

  /** Runs it to its end. Resolves with what it printed. @throws where it fails */
  async run(file: string, env: Readonly<Record<string, string>>): Promise<string> {
    const child = fork(join(this.folder, file), [], {
      cwd: this.folder,
      execArgv: [],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.running.add(child);
    let said = '';
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (text: Buffer) => (said += text.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    this.running.delete(child);
    if (code !== 0) throw new Error(`${file} ended with ${code}:\n${said}`);
    return said;
  }

  read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }

  close(): void {
    for (const child of this.running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  private link(from: string, name: string): void {
    const to = join(this.folder, 'node_modules', name);
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(from, to);
  }
}
