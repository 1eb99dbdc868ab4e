import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { ServerProcess } from '../server-process.js';
import { type Emulator, pythonIn } from './install.js';

/** An emulator of SQS and SNS in a process of its own. It holds everything in memory. */
export class SqsServer extends ServerProcess {
  private constructor(
    private readonly emulator: Emulator,
    private readonly packages: string,
    readonly port: number,
    directory: string,
  ) {
    super(directory);
  }

  static async start(emulator: Emulator, packages: string): Promise<SqsServer> {
    const [port] = await freePorts(1);
    const server = new SqsServer(emulator, packages, port, newDirectory('sqs'));
    await server.launch();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  private get program(): string[] {
    const port = String(this.port);
    return this.emulator === 'moto'
      ? [pythonIn(this.packages), '-m', 'moto.server', '-H', '127.0.0.1', '-p', port]
      : [process.execPath, join(__dirname, 'emulator.mjs'), port];
  }

  protected async launch(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    try {
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...this.program], { cwd: this.packages, stdio: ['ignore', log, log] }); // prettier-ignore
      await this.answers(child, () => accepts(this.port), {
        name: 'The emulator of SQS',
        withinMs: 60_000,
        everyMs: 20,
      });
    } finally {
      closeSync(log);
    }
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.unref();
    socket.on('connect', () => socket.destroy());
  });
}
