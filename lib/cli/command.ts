import type { Flag, FlagValues } from './flags.js';

/** Where a command reads and writes. */
export interface Console {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Command {
  /** The words that call it. */
  readonly name: string;
  readonly what: string;
  readonly flags: readonly Flag[];
  /** What else the help says, after the flags. */
  readonly notes?: string;
  /** @returns the exit code. @throws UsageError, MessagingError */
  run(values: FlagValues, console: Console): Promise<number>;
}

/** What a command tells the shell. */
export const EXIT = { ok: 0, failed: 1, usage: 2, inUse: 3 } as const;
