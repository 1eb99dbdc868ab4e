import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { SubscribeRequest } from '../../../lib/consumer/subscription/subscription-options.js';
import type { MessagingEventMap, MessagingEventName } from '../../../lib/events/messaging-events.js';
import { assemble } from '../../../lib/messaging.assembly.js';
import { Messaging } from '../../../lib/messaging.js';
import { type MessagingModuleOptions, resolveOptions } from '../../../lib/messaging.options.js';
import type { MessageContext } from '../../../lib/pipeline/message-context.js';
import type { Publisher } from '../../../lib/publisher/publisher.js';
import type { Receipt } from '../../../lib/publisher/receipt.js';
import { FakeTransport, type FakeSubscription } from './fake-transport.js';

/** One connection on a fake transport and a clock that stands still. */
export class Application {
  readonly lines: string[] = [];
  readonly clock = new ManualClock();
  readonly transport: FakeTransport;
  readonly messaging: Messaging;

  constructor(options: MessagingModuleOptions = {}, transport = new FakeTransport()) {
    this.transport = transport;
    const write = (level: string) => (message: string) => void this.lines.push(`${level}: ${message}`);
    const resolved = resolveOptions({ service: 'orders', transport: this.transport, clock: this.clock, ...options });
    const log = { log: write('log'), warn: write('warn'), error: write('error'), debug: write('debug') };
    this.messaging = new Messaging('default', resolved, assemble('default', resolved, log));
  }

  get publisher(): Publisher {
    return this.messaging.publisher;
  }

  get retryQueue(): { depth: number; bytes: number; oldestAgeMs: number } {
    return this.messaging.health().retryQueue;
  }

  /** Lets everything that is pending run, without time passing. */
  turn(): Promise<void> {
    return this.clock.advance(0);
  }

  publish(...args: Parameters<Publisher['publish']>): Tracked {
    return new Tracked(this.publisher.publish(...args));
  }

  record<N extends MessagingEventName>(name: N): MessagingEventMap[N][] {
    const payloads: MessagingEventMap[N][] = [];
    this.messaging.events.on(name, (payload) => void payloads.push(payload));
    return payloads;
  }

  async subscribe(
    handler: (payload: unknown, context: MessageContext) => unknown,
    request: Partial<SubscribeRequest> = {},
  ): Promise<FakeSubscription> {
    await this.messaging.subscribe({ route: 'order.created', ...request }, handler);
    return this.transport.subscriptions.at(-1)!;
  }

  logged(level: 'log' | 'warn' | 'error'): string[] {
    return this.lines.filter((line) => line.startsWith(`${level}: `)).map((line) => line.slice(level.length + 2));
  }
}

export async function start(options: MessagingModuleOptions = {}, transport?: FakeTransport): Promise<Application> {
  const application = new Application(options, transport);
  await application.messaging.connect();
  application.transport.connected();
  return application;
}

/** A publish and how it stands. */
export class Tracked {
  state: 'pending' | 'confirmed' | 'queued' | 'rejected' = 'pending';
  receipt?: Receipt;
  error?: Error & { code?: string; retryable?: boolean };
  /** The final result, once there is one: `confirmed`, or the code of its error. */
  settled?: string;

  constructor(promise: Promise<Receipt>) {
    promise.then(
      (receipt) => {
        this.receipt = receipt;
        this.state = receipt.outcome;
        void receipt.settled.then((settlement) => {
          this.settled = settlement.outcome === 'confirmed' ? 'confirmed' : settlement.error.code;
        });
      },
      (error: Error) => {
        this.error = error;
        this.state = 'rejected';
      },
    );
  }
}

/** A source of numbers in [0, 1) that is the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A promise that the test settles. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
