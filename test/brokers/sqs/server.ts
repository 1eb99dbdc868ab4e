import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { ServerProcess } from '../server-process.js';

/** An emulator of SQS and SNS in a process of its own. It holds everything in memory. */
export class SqsServer extends ServerProcess {
  private constructor(
    private readonly packages: string,
    readonly port: number,
    directory: string,
  ) {
    super(directory);
  }

  static async start(packages: string): Promise<SqsServer> {
    const [port] = await freePorts(1);
    const server = new SqsServer(packages, port, newDirectory('sqs'));
    await server.launch();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  protected async launch(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    const program = [process.execPath, join(__dirname, 'emulator.mjs'), String(this.port)];
    try {
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...program], { cwd: this.packages, stdio: ['ignore', log, log] }); // prettier-ignore
      await this.answers(child, () => accepts(this.port), {
        name: 'The emulator of SQS',
        withinMs: 30_000,
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
