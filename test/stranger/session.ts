import { existsSync, type FSWatcher, readFileSync, rmSync, watch } from 'node:fs';
import type { Clock } from 'nestjs-messaging';
import { type ConsumerSession, SettledOnce, type Settler, type SubscribeHandlers } from 'nestjs-messaging/transport';
import { again, deliveriesOf, dueAtOf, type Folders } from './folders.js';
import { readStored } from './stored.js';

/** A message of a queue in the hands of this process. */
class FileDelivery extends SettledOnce<Buffer, FileSession> {
  constructor(
    readonly file: string,
    readonly name: string,
    queue: string,
    session: FileSession,
    bytes = readFileSync(file),
    { message, topic } = readStored(bytes),
  ) {
    super(message, queue, topic === undefined, topic, deliveriesOf(name), bytes, session);
  }

  get raw(): Buffer {
    return Buffer.from(this.received);
  }
}

/** Watches the folder of a queue, and takes what is due, as far as there is room. */
export class FileSession implements ConsumerSession, Settler<FileDelivery> {
  readonly ended: Promise<string>;
  private readonly held = new Set<FileDelivery>();
  private end!: (reason: string) => void;
  private watcher?: FSWatcher;
  private finishing = false;
  private looking = false;
  private cancelTimer = (): void => {};

  constructor(
    private readonly folders: Folders,
    private readonly owner: string,
    private readonly queue: string,
    private readonly prefetch: number,
    private readonly clock: Clock,
    private readonly handlers: SubscribeHandlers,
  ) {
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  consume(): void {
    this.watcher ??= watch(this.folders.of(this.queue, 'ready'), () => this.soon());
    this.watcher.on('error', () => this.giveUp('the folder cannot be watched'));
    this.folders.consumes(this.queue, this.owner, true);
    this.soon();
  }

  pause(): void {
    this.cancelTimer();
    this.watcher?.close();
    this.watcher = undefined;
    this.folders.consumes(this.queue, this.owner, false);
  }

  async stop(): Promise<void> {
    this.pause();
  }

  finish(): void {
    this.finishing = true;
    if (this.held.size === 0) this.end('stopped');
  }

  giveUp(reason: string): void {
    this.pause();
    for (const delivery of [...this.held]) {
      delivery.abandon();
      this.back(delivery);
      this.handlers.lost(delivery);
    }
    this.end(reason);
  }

  async close(): Promise<void> {
    this.giveUp('closed');
  }

  ack(delivery: FileDelivery): void {
    void this.ackConfirmed(delivery);
  }

  async ackConfirmed(delivery: FileDelivery): Promise<boolean> {
    const isThere = existsSync(delivery.file);
    rmSync(delivery.file, { force: true });
    this.settled(delivery);
    return isThere;
  }

  release(delivery: FileDelivery, delayMs: number): void {
    this.back(delivery, delayMs > 0 ? this.clock.now() + delayMs : undefined);
    this.settled(delivery);
  }

  private back(delivery: FileDelivery, dueAt?: number): void {
    this.held.delete(delivery);
    this.folders.giveBack(this.queue, delivery.file, again(delivery.name, dueAt));
  }

  private settled(delivery: FileDelivery): void {
    this.held.delete(delivery);
    if (this.finishing) this.finish();
    this.soon();
  }

  /** Never from within what made room, or wrote a file. */
  private soon(): void {
    if (this.looking || !this.watcher) return;
    this.looking = true;
    setImmediate(() => {
      this.looking = false;
      if (this.watcher) this.look();
    });
  }

  private look(): void {
    if (!this.folders.exists(this.queue)) return this.giveUp('the queue was deleted');
    this.cancelTimer();
    for (const name of this.folders.ready(this.queue)) {
      if (!this.watcher || this.held.size >= this.prefetch) return;
      const waitMs = Math.min(dueAtOf(name) - this.clock.now(), 2 ** 31 - 1);
      if (waitMs > 0) return void (this.cancelTimer = this.clock.after(waitMs, () => this.soon()));
      const file = this.folders.take(this.queue, name, this.owner);
      if (file === undefined) continue;
      const delivery = new FileDelivery(file, name, this.queue, this);
      this.held.add(delivery);
      this.handlers.delivery(delivery);
    }
  }
}
