import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { Destination } from '../../../lib/durable-queue/destination.js';
import { DurableQueue } from '../../../lib/durable-queue/durable-queue.js';
import type { NewQueueEntry, QueueEntry } from '../../../lib/durable-queue/queue-entry.js';
import type { DueRange } from '../../../lib/durable-queue/ready-reader.js';
import type { RetryQueueStoreError } from '../../../lib/errors/publish-errors.js';

const directories: string[] = [];
const queues: TestQueue[] = [];

/** A folder of one test; it is gone afterwards. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'durable-queue-'));
  directories.push(path);
  return path;
}

afterEach(() => {
  for (const { queue } of queues.splice(0)) queue.close();
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

/** A queue on a folder, with what it told. */
export class TestQueue {
  readonly clock = new ManualClock();
  readonly lines: string[] = [];
  readonly failures: { operation: string; error: RetryQueueStoreError }[] = [];
  adoptedCount = 0;
  onAdopted: () => void = () => undefined;
  readonly queue: DurableQueue;

  constructor(
    readonly directory = temporaryDirectory(),
    destination: Destination = { name: 'test' },
  ) {
    const line = (level: string) => (message: string) => void this.lines.push(`${level}: ${message}`);
    this.queue = new DurableQueue(
      { directory, directoryOption: 'directory', neededBy: 'the test', adoptInterval: 1_000, destination },
      this.clock,
      {
        log: { log: line('log'), warn: line('warn'), error: line('error') },
        adopted: (count) => {
          this.adoptedCount += count;
          this.onAdopted();
        },
        failed: (operation, error) => void this.failures.push({ operation, error }),
      },
    );
    queues.push(this);
  }

  static async open(directory?: string, destination?: Destination): Promise<TestQueue> {
    const one = new TestQueue(directory, destination);
    await one.queue.open();
    return one;
  }

  turn(): Promise<void> {
    return this.clock.advance(0);
  }

  /** Resolves when it is on the disk, rejects when it cannot be. */
  append(id: string, more: Partial<NewQueueEntry> = {}): Promise<QueueEntry> {
    return new Promise((resolve, reject) => {
      const kept = this.queue.append(entry(id, more), (error) => (error ? reject(error) : resolve(kept)));
    });
  }

  /** What a pass sees. */
  ready(range: Partial<DueRange> = {}, queue = ''): QueueEntry[] {
    const iterator = this.queue.ready(queue, { dueUntil: Number.MAX_SAFE_INTEGER, ...range });
    const found: QueueEntry[] = [];
    for (let step = iterator.next(); !step.done; step = iterator.next()) found.push(step.value);
    return found;
  }

  ids(range: Partial<DueRange> = {}, queue = ''): string[] {
    return this.ready(range, queue).map(({ id }) => id);
  }

  /** The name of its own file. */
  get name(): string {
    const { storage } = this.queue as unknown as { storage: { own: { name: string } } };
    return `${storage.own.name}.queue`;
  }

  /** Ends as a killed process does: nothing is written any more, and the locks are gone. */
  kill(): void {
    const { storage, adoption } = this.queue as unknown as {
      storage: { closed: boolean; own: { close(remove: boolean): void } };
      adoption: { stop(): void };
    };
    adoption.stop();
    storage.closed = true;
    storage.own.close(false);
  }
}

export function entry(id: string, more: Partial<NewQueueEntry> = {}): NewQueueEntry {
  return {
    queue: '',
    id,
    lane: undefined,
    priority: 0,
    dueAt: 0,
    expiresAt: undefined,
    queuedAt: 1_000,
    attempts: 0,
    returns: 0,
    bytes: 100,
    meta: JSON.stringify({ id }),
    body: Buffer.from(`body of ${id}`),
    ...more,
  };
}

/** Names of the queue files in a folder. */
export function files(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.queue')) : [];
}
