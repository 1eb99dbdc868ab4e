import { main } from '../../../lib/cli/main.js';

/** A stream that keeps what is written. */
export class Written {
  text = '';
  readonly columns: number = 200;

  constructor(readonly isTTY = false) {}

  write(text: string | Buffer): boolean {
    this.text += text.toString();
    return true;
  }
}

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command of `dead-letters`, in this process. */
export async function run(env: Record<string, string>, ...args: string[]): Promise<Run> {
  const [stdout, stderr] = [new Written(), new Written()];
  const streams = { stdout, stderr } as unknown as { stdout: NodeJS.WriteStream; stderr: NodeJS.WriteStream };
  const code = await main(['dead-letters', ...args], { ...streams, env });
  return { code, stdout: stdout.text, stderr: stderr.text };
}
