import type { Clock } from '../clock/clock.js';
import { integerBetween, knownKeys } from '../errors/option-checks.js';
import type { Claim, IdempotencyStore, IdempotencyStoreFactory } from './idempotency-store.js';

export interface MemoryIdempotencyStoreOptions {
  /** The most keys that are remembered; beyond that the oldest handled ones are forgotten early. Default 100,000. */
  readonly maxKeys?: number;
}

/**
 * Recognises duplicates within one process, until it ends. For several processes, or restarts: `sqliteIdempotencyStore`.
 * @throws InvalidOptionError
 */
export function memoryIdempotencyStore(options: MemoryIdempotencyStoreOptions = {}): IdempotencyStoreFactory {
  knownKeys('memoryIdempotencyStore', options, ['maxKeys']);
  const maxKeys = integerBetween('memoryIdempotencyStore.maxKeys', options.maxKeys ?? 100_000, 1, 2 ** 24);
  return { kind: 'memory', create: ({ clock }) => new MemoryIdempotencyStore(maxKeys, clock) };
}

interface ClaimEntry {
  /** Undefined: done. */
  readonly token: string | undefined;
  readonly endsAt: number;
}

class MemoryIdempotencyStore implements IdempotencyStore {
  /** In the order in which they were last changed. */
  private readonly entries = new Map<string, ClaimEntry>();

  constructor(
    private readonly maxKeys: number,
    private readonly clock: Clock,
  ) {}

  async claim(key: string, token: string, leaseMs: number): Promise<Claim> {
    const entry = this.current(key);
    if (!entry) {
      this.set(key, token, leaseMs);
      return { state: 'acquired' };
    }
    if (entry.token === undefined) return { state: 'done' };
    return { state: 'in-progress', leaseLeftMs: entry.endsAt - this.clock.monotonic() };
  }

  async renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.change(key, token, () => this.set(key, token, leaseMs));
  }

  async complete(key: string, token: string, windowMs: number): Promise<boolean> {
    const entry = this.current(key);
    if (entry && entry.token !== token) return false;
    this.set(key, undefined, windowMs);
    return true;
  }

  async release(key: string, token: string): Promise<boolean> {
    return this.change(key, token, () => this.entries.delete(key));
  }

  async close(): Promise<void> {}

  /** Also with the lease over, as long as nobody else took the key. */
  private change(key: string, token: string, apply: () => void): boolean {
    if (this.entries.get(key)?.token !== token) return false;
    apply();
    return true;
  }

  private current(key: string): ClaimEntry | undefined {
    const entry = this.entries.get(key);
    return entry && entry.endsAt > this.clock.monotonic() ? entry : undefined;
  }

  private set(key: string, token: string | undefined, ms: number): void {
    this.entries.delete(key);
    this.entries.set(key, { token, endsAt: this.clock.monotonic() + ms });
    this.purge();
  }

  /** What is over goes, a few at a time, and what is too much. What is being handled stays: the prefetch bounds it. */
  private purge(): void {
    const now = this.clock.monotonic();
    let steps = 2;
    for (const [key, { token, endsAt }] of this.entries) {
      const full = this.entries.size > this.maxKeys;
      if (endsAt <= now || (full && token === undefined)) this.entries.delete(key);
      else if (!full) return;
      if (--steps <= 0 && !full) return;
    }
  }
}
