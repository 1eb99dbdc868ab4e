import { readdir, readFile } from 'node:fs/promises';
import { waitFor } from './wait-for.js';

/**
 * Stops a process until it gets SIGCONT. The signal only asks: the threads of the process go on until the system has
 * reached each of them, and on a busy machine a broker confirms one more publish meanwhile.
 */
export async function suspendProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  if (process.platform === 'linux') await waitFor(() => isStopped(pid), `every thread of ${pid} to stop`);
}

async function isStopped(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const read = (thread: string): Promise<string> => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8');
  // A thread that has just ended has no state: then the next look decides.
  const states = await Promise.all(threads.map((thread) => read(thread).catch(() => '')));
  // The state follows the name of the thread, which stands in parentheses and may hold any character.
  return states.every((stat) => stat.slice(stat.lastIndexOf(')') + 2).startsWith('T'));
}
