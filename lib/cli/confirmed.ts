import { createInterface } from 'node:readline/promises';
import type { Console } from './command.js';
import { type FlagValues, UsageError } from './flags.js';
import { onStopSignal } from './stop-signals.js';

/** Without `--yes` somebody has to be there. @throws UsageError */
export function requireAnswer(values: FlagValues, { stdin, stderr }: Console): void {
  if (!values.yes && !(stdin?.isTTY && stderr.isTTY))
    throw new UsageError('--yes is required: there is nobody to be asked');
}

/** Ctrl-C, Ctrl-D and SIGTERM are answers, too: no. The terminal itself edits the line, so that nothing steers it. */
export async function confirmed({ stdin, stderr }: Console, question: string): Promise<boolean> {
  const line = createInterface({ input: stdin!, output: stderr, terminal: false });
  const ended = new AbortController();
  const release = onStopSignal(() => ended.abort());
  line.once('close', () => ended.abort());
  try {
    return /^y(es)?$/i.test((await line.question(question, { signal: ended.signal })).trim());
  } catch (error) {
    if (!ended.signal.aborted) throw error;
    stderr.write('\n');
    return false;
  } finally {
    release();
    line.close();
  }
}
