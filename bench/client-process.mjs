import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** One measured client in a process of its own, so that the CPU time it took is its alone. */
export class ClientProcess {
  /** `label` names its CPU profiles in the folder `profile`; a task may take `limitMs`. */
  constructor({ title, path }, { packageDirectory, profile = '', label = title, limitMs }) {
    this.title = title;
    this.limitMs = limitMs;
    this.child = fork(fileURLToPath(new URL(path, import.meta.url)), [packageDirectory, profile, label], {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.exited = new Promise((resolve) => this.child.once('exit', resolve));
  }

  /** One round. `onReady` is called when the client is about to take messages. */
  run(task, onReady = () => {}) {
    return new Promise((resolve, reject) => {
      const settle = (error, result) => {
        clearTimeout(limit);
        this.child.off('message', onMessage).off('exit', onExit);
        if (error) reject(new Error(`${this.title}: ${error}`));
        else resolve(result);
      };
      const onExit = (code) => settle(`ended with code ${code}`);
      const onMessage = ({ ready, result, error }) => (ready ? onReady() : settle(error, result));
      const limit = this.limitMs && setTimeout(() => settle(`not done after ${this.limitMs} ms`), this.limitMs);
      this.child.on('message', onMessage).on('exit', onExit);
      this.child.send(task, (error) => error && onExit(this.child.exitCode));
    });
  }

  /** At once, whatever it is doing. */
  kill() {
    this.child.kill('SIGKILL');
  }

  /** It ends by itself when nobody is there to ask it for more. */
  async end() {
    if (this.child.connected) this.child.disconnect();
    const giveUp = setTimeout(() => this.kill(), 10_000);
    await this.exited;
    clearTimeout(giveUp);
  }
}
