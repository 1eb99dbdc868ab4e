import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const path = fileURLToPath(new URL('instant/process.mjs', import.meta.url));

/** The scripted broker, as the orchestrator sees it. */
export class InstantBroker {
  constructor(child, url) {
    this.child = child;
    this.url = url;
  }

  static async start() {
    const child = fork(path, { stdio: ['ignore', 2, 2, 'ipc'] });
    const [{ url }] = await once(child, 'message');
    return new InstantBroker(child, url);
  }

  /** From now on who consumes from `queue` gets this message, again and again. */
  async offer(queue, message) {
    this.child.send({ queue, message });
    await once(this.child, 'message');
  }

  async stop() {
    this.child.disconnect();
    await once(this.child, 'exit');
  }
}
