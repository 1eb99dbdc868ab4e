import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { TransportEvent } from '../../../lib/transport/transport.js';
import { Consumer, type ConsumerOptions } from '../../../lib/transports/rabbitmq/consumer.js';

/** A consumer on a connection that is there, whose declaration fails when it is told to. */
function attaching(): {
  consumer: Consumer;
  warnings: string[];
  clock: ManualClock;
  fail: (error: Error) => Promise<void>;
} {
  const clock = new ManualClock();
  const warnings: string[] = [];
  let reject: (error: Error) => void = () => {};
  const options = {
    queue: 'q',
    connection: {
      current: {},
      isClosed: false,
      reason: '',
      redact: (text: string) => text,
      whenOpen: () => Promise.resolve(),
    },
    environment: {
      clock,
      random: () => 0.5,
      reconnect: { initial: 100, max: 1_000, jitter: 0 },
      onEvent: (event: TransportEvent) => void (event.type === 'warning' && warnings.push(event.message)),
    },
    handlers: { delivery: () => {}, lost: () => {}, state: () => {} },
    declare: () => new Promise<void>((_, no) => (reject = no)),
    ended: () => {},
  };
  return {
    consumer: new Consumer(options as unknown as ConsumerOptions),
    warnings,
    clock,
    fail: async (error) => {
      reject(error);
      await clock.advance(0);
    },
  };
}

it('warns once when it cannot attach', async () => {
  const { consumer, warnings, clock, fail } = attaching();
  consumer.startInBackground();
  await clock.advance(0);
  await fail(new Error('no reply'));
  expect(warnings).toEqual(['Cannot consume from «q», trying again: no reply']);
  await consumer.close();
});

it('does not warn when it is closed while it attaches', async () => {
  const { consumer, warnings, clock, fail } = attaching();
  consumer.startInBackground();
  await clock.advance(0);
  await consumer.close();
  await fail(new Error('Connection closing'));
  expect(warnings).toEqual([]);
});

/** A broker that takes every consumer, and cancels it when it is told to. */
class FickleBroker {
  readonly clock = new ManualClock();
  readonly warnings: string[] = [];
  readonly states: (string | undefined)[] = [];
  /** When each consumer was attached. */
  readonly attached: number[] = [];
  /** Milliseconds that consumers live; they are cancelled after that. */
  lifetime: number | undefined = 0;
  readonly connection = {
    current: { createChannel: async () => this.channel() },
    isClosed: false,
    reason: '',
    redact: (text: string) => text,
    whenOpen: () => Promise.resolve(),
  };
  readonly consumer = new Consumer({
    queue: 'q',
    prefetch: 10,
    connection: this.connection,
    environment: {
      clock: this.clock,
      random: () => 0.5,
      reconnect: { initial: 100, max: 1_000, jitter: 0 },
      confirmTimeout: 5_000,
      onEvent: (event: TransportEvent) => void (event.type === 'warning' && this.warnings.push(event.message)),
    },
    handlers: {
      delivery: () => {},
      lost: () => {},
      state: (consuming: boolean, reason?: string) => void this.states.push(consuming ? 'consuming' : reason),
    },
    declare: () => Promise.resolve(),
    ended: () => {},
  } as unknown as ConsumerOptions);

  private channel(): object {
    const listeners = new Map<string, (...args: unknown[]) => void>();
    const on = (event: string, listener: (...args: unknown[]) => void) => void listeners.set(event, listener);
    return {
      on,
      once: on,
      prefetch: async () => {},
      consume: async (_: string, receive: (raw: null) => void) => {
        this.attached.push(this.clock.monotonic());
        if (this.lifetime === 0) queueMicrotask(() => receive(null));
        else if (this.lifetime !== undefined) this.clock.after(this.lifetime, () => receive(null));
        return { consumerTag: `c${this.attached.length}` };
      },
      cancel: async () => {},
      close: async () => void listeners.get('close')?.(),
    };
  }
}

it('pauses longer and longer before it attaches again where its consumer is cancelled at once, and says so', async () => {
  const broker = new FickleBroker();
  await broker.consumer.start();
  await broker.clock.advance(0);
  expect(broker.attached).toEqual([0]);
  await broker.clock.advance(10_000);
  expect(broker.attached.slice(0, 6)).toEqual([0, 100, 300, 700, 1_500, 2_500]);
  expect(broker.attached).toHaveLength(13);
  expect(broker.warnings).toEqual([
    'Consuming from «q» ends again and again, trying again with growing pauses: the broker cancelled the consumer',
  ]);
  expect(broker.states.at(-1)).toBe('the broker cancelled the consumer (13 times in a row)');
  await broker.consumer.close();
});

it('pauses shortly again after its consumer has lived as long as the longest pause', async () => {
  const broker = new FickleBroker();
  await broker.consumer.start();
  await broker.clock.advance(4_000);
  broker.lifetime = 1_000;
  const before = broker.attached.length;
  await broker.clock.advance(4_000);
  const [first, second, third] = broker.attached.slice(before);
  expect([second - first, third - second]).toEqual([1_100, 1_100]);
  await broker.consumer.close();
});

it('attaches at once after a connection that was gone is back', async () => {
  const broker = new FickleBroker();
  const model = broker.connection.current;
  await broker.consumer.start();
  await broker.clock.advance(4_000);
  broker.lifetime = 700;
  await broker.clock.advance(1_000);
  broker.connection.current = undefined as unknown as typeof model;
  let open = (): void => {};
  broker.connection.whenOpen = () => new Promise((resolve) => (open = resolve));
  await broker.clock.advance(500);
  const before = broker.attached.length;
  broker.connection.current = model;
  open();
  await broker.clock.advance(0);
  expect(broker.attached).toHaveLength(before + 1);
  await broker.consumer.close();
});
