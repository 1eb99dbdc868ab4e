import { expect, test } from '@jest/globals';
import { Application, seeded, Tracked } from '../support/application.js';
import { FakeTransport, confirmed, failed, refused, unroutable } from '../support/fake-transport.js';
import { diskRetryQueue } from '../../../lib/publisher/disk-retry-queue.js';
import { memoryRetryQueue } from '../../../lib/publisher/memory-retry-queue.js';
import type { RetryQueueStoreFactory } from '../../../lib/publisher/retry-queue-store.js';
import type { PublishResult } from '../../../lib/transport/outgoing.js';
import { temporaryDirectory } from '../../durable-queue/support/queue.js';

/*
 * Thousands of random steps against a model: whatever happens on the connection, and in whatever order, every publish has
 * one result, what was taken is neither lost nor under way twice, the bounds hold, and keys keep their order.
 */

const ENTRY = 512;

interface Sent {
  readonly tracked: Tracked;
  readonly key: string | undefined;
  readonly number: number;
  readonly mode: 'awaited' | 'ordered' | 'free';
  readonly bytes: number;
}

class Model {
  readonly app: Application;
  readonly sent = new Map<string, Sent>();
  /** Ids in the order the broker confirmed them. */
  readonly confirmedIds: string[] = [];
  readonly finished = new Set<string>();
  readonly queued = new Set<string>();
  private readonly random: () => number;
  private readonly maxMessages: number;
  private readonly maxBytes: number;
  private readonly whenFull: 'reject' | 'wait';
  /** The last publish of each key whose publishes are awaited one after the other. */
  private readonly chains = new Map<string, Tracked>();
  private number = 0;

  constructor(
    private readonly seed: number,
    store: RetryQueueStoreFactory = memoryRetryQueue(),
  ) {
    this.random = seeded(seed);
    this.maxMessages = 1 + this.below(12);
    this.maxBytes = ENTRY + 200 + this.below(8 * ENTRY);
    this.whenFull = this.pick(['reject', 'wait']);
    this.app = new Application(
      {
        maxInFlight: 1 + this.below(6),
        unroutable: this.pick(['reject', 'queue']),
        retryQueue: {
          store,
          maxMessages: this.maxMessages,
          maxBytes: this.maxBytes,
          whenFull: this.whenFull,
          waitTimeout: this.below(4_000),
          interval: 500,
        },
      },
      new FakeTransport(),
    );
    const { events } = this.app.messaging;
    events.on('queued', ({ id }) => this.queued.add(id));
    events.on('published', ({ id }) => this.finish(id));
    events.on('publish-failed', ({ id }) => this.finish(id));
  }

  async step(): Promise<void> {
    const { transport, clock } = this.app;
    const dice = this.random();
    if (dice < 0.4) this.publish();
    else if (dice < 0.78) this.answer();
    else if (dice < 0.82) transport.disconnected();
    else if (dice < 0.9 && transport.state === 'disconnected') transport.connected();
    else if (dice < 0.87 && transport.state === 'connected') transport.blocked();
    else if (dice < 0.94 && transport.state === 'blocked') transport.unblocked();
    else await clock.advance(this.below(800));
    this.check();
    if (this.random() < 0.6) await this.app.turn();
    this.check();
  }

  /** The broker is well again and confirms everything. */
  async end(): Promise<void> {
    const { transport, clock } = this.app;
    if (transport.state === 'disconnected') transport.connected();
    if (transport.state === 'blocked') transport.unblocked();
    for (let n = 0; n < 60; n++) {
      while (transport.pending.length > 0) this.resolve(confirmed);
      await clock.advance(500);
      this.check();
    }
    for (const [id, { tracked }] of this.sent) {
      this.say(tracked.state !== 'pending', `${id} has no result`);
      if (tracked.state === 'rejected') this.say(!this.confirmedIds.includes(id), `${id} was rejected and is stored`);
      else this.say(tracked.settled !== undefined, `${id} is ${tracked.state} and never settled`);
      if (tracked.settled === 'confirmed')
        this.say(this.confirmedIds.includes(id), `${id} is told confirmed and is lost`);
    }
    this.say(
      new Set(this.confirmedIds).size === this.confirmedIds.length,
      'a message was sent again after its confirm',
    );
    this.checkOrder();
    const { depth, bytes } = this.app.retryQueue;
    this.say(depth === 0 && bytes === 0, `the retry queue holds ${depth} messages and ${bytes} bytes in the end`);
    this.say(clock.pending === 0, `${clock.pending} timers run in the end`);
  }

  private publish(): void {
    const number = this.number++;
    const mode = this.pick(['awaited', 'ordered', 'free'] as const);
    const key = mode === 'free' ? undefined : `${mode}-${this.below(3)}`;
    if (mode === 'awaited' && this.chains.get(key!)?.state === 'pending') return;
    const id = `${number}`;
    const body = Buffer.alloc(this.below(300));
    const ttl = this.random() < 0.1 ? { ttl: 1 + this.below(3_000) } : {};
    const options = { id, ...(key !== undefined && { key }), ...(mode === 'ordered' && { ordered: true }), ...ttl };
    // What the caller learns at the latest when it is sent must be known before it is.
    const entry = { key, number, mode, bytes: body.length + ENTRY };
    const promise = this.app.publisher.publish('r', body, options);
    const tracked = new Tracked(promise);
    this.sent.set(id, { ...entry, tracked });
    if (mode === 'awaited') this.chains.set(key!, tracked);
  }

  private answer(): void {
    const { transport } = this.app;
    if (transport.pending.length === 0 || transport.state === 'blocked') return;
    const dice = this.random();
    const result = dice < 0.6 ? confirmed : dice < 0.85 ? failed() : dice < 0.95 ? unroutable() : refused();
    const at = this.below(transport.pending.length);
    this.resolve(result, transport.pendingIds[at]);
  }

  private resolve(result: PublishResult, id = this.app.transport.pendingIds[0]): void {
    if (result === confirmed) this.confirmedIds.push(id);
    this.app.transport.settle(result, id);
  }

  private finish(id: string): void {
    this.say(!this.finished.has(id), `${id} has two final results`);
    this.finished.add(id);
    this.queued.delete(id);
  }

  private check(): void {
    const { transport } = this.app;
    this.say(transport.breaches.length === 0, transport.breaches[0]);
    const held = new Set([...transport.pendingIds, ...this.queued]);
    let bytes = 0;
    for (const id of held) bytes += this.sent.get(id)?.bytes ?? ENTRY;
    this.say(held.size <= this.maxMessages, `${held.size} messages are held, ${this.maxMessages} are allowed`);
    const open = this.sent.size - this.finished.size;
    const mayBeOpen = this.maxMessages * (this.whenFull === 'reject' ? 1 : 2);
    this.say(open <= mayBeOpen, `${open} publishes have no result, ${mayBeOpen} are allowed`);
    this.say(bytes <= this.maxBytes, `${bytes} bytes are held, ${this.maxBytes} are allowed`);
    const orderedKeys = transport.pendingIds.map((id) => this.sent.get(id)).filter((one) => one?.mode === 'ordered');
    this.say(
      new Set(orderedKeys.map((one) => one!.key)).size === orderedKeys.length,
      'two ordered messages of one key are under way',
    );
    for (const id of transport.pendingIds)
      this.say(!this.finished.has(id), `${id} is under way after its final result`);
  }

  /** Among those the broker confirmed, messages of one key came in the order of their publishes. */
  private checkOrder(): void {
    const last = new Map<string, number>();
    for (const id of this.confirmedIds) {
      const { key, number } = this.sent.get(id)!;
      if (key === undefined) continue;
      this.say(number > (last.get(key) ?? -1), `${id} overtook ${last.get(key)} of the key ${key}`);
      last.set(key, number);
    }
  }

  private say(holds: boolean, breach: string | undefined): void {
    if (!holds) throw new Error(`Seed ${this.seed}: ${breach}`);
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  private pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}

test.each(Array.from({ length: 10 }, (_, n) => n))(
  'every publish has exactly one result, nothing is lost or under way twice, bounds and keys hold (seeds from %i00)',
  async (hundred) => {
    for (let seed = hundred * 100; seed < hundred * 100 + 20; seed++) {
      const model = new Model(seed);
      await model.app.messaging.connect();
      model.app.transport.connected();
      for (let n = 0; n < 150; n++) await model.step();
      await model.end();
      expect(model.sent.size).toBeGreaterThan(10);
    }
  },
);

test('the same holds for what waits on disk', async () => {
  for (let seed = 5_000; seed < 5_025; seed++) {
    const model = new Model(seed, diskRetryQueue({ directory: temporaryDirectory() }));
    await model.app.messaging.connect();
    model.app.transport.connected();
    for (let n = 0; n < 150; n++) await model.step();
    await model.end();
    await model.app.messaging.close();
  }
});
