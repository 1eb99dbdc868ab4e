import type { Flag, FlagValues } from './flags.js';

/** Where a command reads and writes. */
export interface Console {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Where questions are answered; there are none where it is no terminal. */
  readonly stdin?: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of this package. */
  readonly version?: string;
}

export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface Command {
  /** The words that call it. */
  readonly name: string;
  readonly what: string;
  readonly flags: readonly Flag[];
  /** What else the help says, after the flags. */
  readonly notes?: string;
  /** How options of the library are called here, where a message names one. */
  readonly optionNames?: Readonly<Record<string, string>>;
  /** The exit code of wrong usage, where 2 says something else. */
  readonly usageCode?: number;
  /** @returns the exit code. @throws UsageError, MessagingError */
  run(values: FlagValues, console: Console): Promise<number>;
}

/** What a command tells the shell. */
export const EXIT = { ok: 0, failed: 1, usage: 2, inUse: 3, stopped: 4 } as const;
