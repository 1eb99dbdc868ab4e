import { closeSync, openSync, readSync, writeSync } from 'node:fs';

/** What a worker process did or saw, one JSON line each, in the order it happened. */
export type Entry = { readonly t: number } & (
  | { readonly e: 'attempt'; readonly id: string; readonly key?: string; readonly n?: number }
  /** The publish resolved, or rejected with this code. */
  | { readonly e: 'receipt'; readonly id: string; readonly outcome: 'confirmed' | 'queued' }
  | { readonly e: 'rejected'; readonly id: string; readonly code: string }
  /** The final result of a queued one. */
  | { readonly e: 'settled'; readonly id: string; readonly outcome: 'confirmed' | 'rejected'; readonly code?: string }
  | { readonly e: 'start'; readonly id: string; readonly attempt: number; readonly key?: string; readonly n?: number }
  | { readonly e: 'end'; readonly id: string; readonly attempt: number }
  /** `final`: it is not to be tried again. */
  | { readonly e: 'fail'; readonly id: string; readonly attempt: number; readonly final?: boolean }
  | { readonly e: 'closing' }
  /** One of `messaging.events`. */
  | { readonly e: 'event'; readonly name: string; readonly id?: string; readonly detail?: string }
);

/** An entry as it is written, without its time. */
export type Record = Entry extends infer One ? (One extends Entry ? Omit<One, 't'> : never) : never;

/** Microseconds on the clock that all processes of this machine share. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** Written at once: what a killed process had written is there. */
export class JournalWriter {
  private readonly file: number;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  write(record: Record): void {
    writeSync(this.file, `${JSON.stringify({ t: now(), ...record })}\n`);
  }
}

/** Follows a journal that another process writes. */
export class JournalReader {
  private readonly file: number;
  private readonly buffer = Buffer.alloc(256 * 1024);
  private position = 0;
  private rest = '';

  constructor(
    path: string,
    private readonly onEntry: (entry: Entry) => void,
  ) {
    closeSync(openSync(path, 'a'));
    this.file = openSync(path, 'r');
  }

  /** Takes what was written since. */
  read(): void {
    for (;;) {
      const length = readSync(this.file, this.buffer, 0, this.buffer.length, this.position);
      if (length === 0) return;
      this.position += length;
      const lines = (this.rest + this.buffer.toString('utf8', 0, length)).split('\n');
      this.rest = lines.pop() ?? '';
      for (const line of lines) this.onEntry(JSON.parse(line) as Entry);
    }
  }

  close(): void {
    this.read();
    closeSync(this.file);
  }
}
