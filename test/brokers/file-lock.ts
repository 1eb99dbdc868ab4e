import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** One process at a time per file. The kernel frees the lock of a process that dies. */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(holder, 'close');
  const locked = await Promise.race([once(holder.stdout, 'data').then(() => true), ended.then(() => false)]);
  if (!locked) throw new Error(`flock ${file} failed`);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
