import { type Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { nextTurn } from '../clock/turn.js';
import type { Change } from './coordination-store.js';

/** An entry as a server has it; `version` is what it is known by when it is written. */
export interface Found<Version> {
  readonly now: number;
  readonly state: string | undefined;
  readonly version: Version;
}

/** A server that cannot run a change, but can refuse to write where somebody else has. */
export interface VersionedEntries<Version> {
  read(key: string): Promise<Found<Version>>;
  /** Null as `state` deletes. Undefined: written. Else somebody came first, and this is what he has made. */
  write(
    key: string,
    version: Version,
    state: string | null,
    keepMs: number,
    now: number,
  ): Promise<Found<Version> | undefined>;
  /** Too many came first, for too long. */
  failure(reason: string): Error;
}

interface Pending {
  readonly change: Change<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The longest pause before the next try, in milliseconds: where many processes change one entry they come one by one. */
const LONGEST_PAUSE_MS = 50;

/** Changes entries where only a comparison is atomic. What one process asks of an entry in one turn goes together. */
export class OptimisticChanges<Version> {
  private readonly pending = new Map<string, Pending[]>();
  private readonly running = new Set<Promise<void>>();

  constructor(
    private readonly entries: VersionedEntries<Version>,
    private readonly clock: Clock,
    private readonly waitMs: number,
  ) {}

  change<T>(key: string, change: Change<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const pending: Pending = { change, resolve: resolve as Pending['resolve'], reject };
      const line = this.pending.get(key);
      if (line) return void line.push(pending);
      this.pending.set(key, [pending]);
      const run = this.run(key);
      this.running.add(run);
      void run.finally(() => this.running.delete(run));
    });
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.running);
  }

  private async run(key: string): Promise<void> {
    await new Promise<void>((resolve) => nextTurn(resolve));
    for (let line = this.pending.get(key)!; line.length > 0;) {
      const together = line.splice(0);
      try {
        await this.together(key, together);
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    this.pending.delete(key);
  }

  private async together(key: string, line: readonly Pending[]): Promise<void> {
    const deadline = this.clock.monotonic() + this.waitMs;
    let found = await this.entries.read(key);
    for (let tries = 1; ; tries++) {
      const applied = apply(line, found);
      const { state, keepMs } = applied;
      const other =
        state === undefined
          ? undefined
          : await this.entries.write(key, found.version, state, Math.ceil(keepMs), found.now);
      if (!other) return applied.settle();
      if (this.clock.monotonic() >= deadline)
        throw this.entries.failure(`others changed the entry ${tries} times within ${this.waitMs} ms`);
      found = other;
      if (tries > 1) {
        await sleep(this.clock, Math.random() * Math.min(LONGEST_PAUSE_MS, tries));
        found = await this.entries.read(key);
      }
    }
  }
}

/** What all of them come to, one after the other; undefined as `state`: nothing is written. */
function apply(
  line: readonly Pending[],
  { state: found, now }: Found<unknown>,
): { readonly settle: () => void; readonly state: string | null | undefined; readonly keepMs: number } {
  let current = found;
  let state: string | null | undefined;
  let keepMs = 0;
  const settles = line.map(({ change, resolve, reject }) => {
    try {
      const changed = change(current, now);
      if (changed.state !== undefined) {
        state = changed.state;
        current = changed.state ?? undefined;
        keepMs = typeof changed.state === 'string' ? changed.keepMs : 0;
      }
      return () => resolve(changed.result);
    } catch (error) {
      return () => reject(error);
    }
  });
  return { settle: () => settles.forEach((settle) => settle()), state, keepMs };
}
