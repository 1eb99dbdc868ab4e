import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { BrokerConfigurationError } from '../../../lib/errors/configuration-errors.js';
import { NotConnectedError } from '../../../lib/errors/publish-errors.js';
import {
  type Dialer,
  type LinkEvents,
  SupervisedConnection,
} from '../../../lib/transports/kit/supervised-connection.js';

interface Link {
  readonly number: number;
}

/** A broker that does what the test says, and the times of the attempts to connect. */
class ScriptedBroker implements Dialer<Link> {
  readonly name = 'Broker at host';
  readonly clock = new ManualClock();
  readonly told: string[] = [];
  readonly attempts: number[] = [];
  readonly done: string[] = [];
  /** Thrown by attempts to connect. */
  failure?: Error;
  /** Awaited by attempts to connect. */
  before: () => Promise<void> | void = () => {};
  ending: Promise<void> = Promise.resolve();
  on!: LinkEvents<Link>;
  link: Link = { number: 0 };
  readonly connection = new SupervisedConnection<Link>(
    this,
    {
      clock: this.clock,
      random: () => 0.5,
      reconnect: { initial: 100, max: 30_000, jitter: 0 },
    },
    {
      opened: ({ number }) => void this.told.push(`opened ${number}`),
      lost: (reason) => void this.told.push(`lost: ${reason}`),
      warning: (message) => void this.told.push(`warning: ${message}`),
    },
  );

  async open(_: number, on: LinkEvents<Link>): Promise<Link> {
    this.attempts.push(this.clock.monotonic());
    this.on = on;
    this.link = { number: this.attempts.length };
    await this.before();
    if (this.failure) throw this.failure;
    return this.link;
  }

  end({ number }: Link): Promise<void> {
    this.done.push(`end ${number}`);
    return this.ending;
  }

  destroy(link: Link, reason: string, on: LinkEvents<Link>): void {
    this.done.push(`destroy ${link.number}: ${reason}`);
    on.ended(link, reason);
  }

  describe(error: unknown): string {
    return this.redact((error as Error).message);
  }

  redact(text: string): string {
    return text.replace('secret', '***');
  }

  /** The open link ends. */
  lose(reason = 'gone'): void {
    this.on.ended(this.link, reason);
  }
}

it('the waits grow also where connecting succeeds and each connection ends at once, and begin anew after one that lasted', async () => {
  const broker = new ScriptedBroker();
  await broker.connection.start();
  for (const [lasted, wait] of [
    [0, 100],
    [0, 200],
    [4_000, 400],
    [5_000, 100],
  ]) {
    await broker.clock.advance(lasted);
    broker.lose();
    await broker.clock.advance(wait - 1);
    const before = broker.attempts.length;
    await broker.clock.advance(1);
    expect(broker.attempts).toHaveLength(before + 1);
  }
});

it('tells when it is open, and why it is lost', async () => {
  const broker = new ScriptedBroker();
  expect(broker.connection.current).toBeUndefined();
  await broker.connection.start();
  expect(broker.connection.current).toBe(broker.link);
  broker.lose('gone away');
  expect(broker.connection.current).toBeUndefined();
  expect(broker.connection.reason).toBe('gone away');
  await broker.clock.advance(100);
  expect(broker.told).toEqual(['opened 1', 'lost: gone away', 'opened 2']);
});

it('a start that fails goes on in the background, also over an error of ours that passes', async () => {
  for (const failure of [new Error('no secret answer'), new NotConnectedError('no *** answer')]) {
    const broker = new ScriptedBroker();
    broker.failure = failure;
    await broker.connection.start();
    expect(broker.told).toEqual(['lost: no *** answer']);
    broker.failure = undefined;
    await broker.clock.advance(100);
    expect(broker.told).toEqual(['lost: no *** answer', 'opened 2']);
  }
});

it('a start rejects on a misconfiguration, which no later attempt hides', async () => {
  const broker = new ScriptedBroker();
  broker.failure = new BrokerConfigurationError('no such user');
  await expect(broker.connection.start()).rejects.toBe(broker.failure);
  await broker.clock.advance(60_000);
  expect(broker.attempts).toHaveLength(1);
});

it('warns of a broker that is away once for each reason, until it was there again', async () => {
  const broker = new ScriptedBroker();
  await broker.connection.start();
  const warnings = (): string[] => broker.told.filter((text) => text.startsWith('warning'));
  broker.failure = new Error('refused');
  broker.lose();
  await broker.clock.advance(60_000);
  broker.failure = new Error('no secret route');
  await broker.clock.advance(60_000);
  expect(warnings()).toEqual([
    'warning: Cannot connect to Broker at host: refused',
    'warning: Cannot connect to Broker at host: no *** route',
  ]);
  broker.failure = undefined;
  await broker.clock.advance(60_000);
  broker.failure = new Error('no secret route');
  broker.lose();
  await broker.clock.advance(60_000);
  expect(warnings()).toHaveLength(3);
});

it('a link that ended before it was handed over is not taken for an open one', async () => {
  const broker = new ScriptedBroker();
  broker.before = () => broker.lose();
  await broker.connection.start();
  expect(broker.connection.current).toBeUndefined();
  expect(broker.told).toEqual(['lost: the connection to Broker at host ended at once']);
  broker.before = () => {};
  await broker.clock.advance(100);
  expect(broker.connection.current).toBe(broker.link);
});

it('whoever waits for it goes on when it is open, when it is closed, and when they give up', async () => {
  const broker = new ScriptedBroker();
  broker.failure = new Error('refused');
  await broker.connection.start();
  const passed: string[] = [];
  const giveUp = new AbortController();
  const never = new AbortController();
  void broker.connection.whenOpen(giveUp.signal).then(() => passed.push('given up'));
  void broker.connection.whenOpen(never.signal).then(() => passed.push('open'));
  giveUp.abort();
  await broker.clock.advance(0);
  expect(passed).toEqual(['given up']);
  broker.failure = undefined;
  await broker.clock.advance(1_000);
  expect(passed).toEqual(['given up', 'open']);
  broker.lose();
  void broker.connection.whenOpen(never.signal).then(() => passed.push('closed'));
  await broker.connection.close();
  expect(passed).toEqual(['given up', 'open', 'closed']);
});

it('a link is destroyed only while it is the current one', async () => {
  const broker = new ScriptedBroker();
  await broker.connection.start();
  const first = broker.link;
  broker.connection.destroy('no answer', first);
  broker.connection.destroy('no answer', first);
  broker.connection.destroy('no answer');
  expect(broker.done).toEqual(['destroy 1: no answer']);
  await broker.clock.advance(100);
  broker.connection.destroy('late', first);
  broker.connection.destroy('no answer');
  expect(broker.done).toEqual(['destroy 1: no answer', 'destroy 2: no answer']);
});

it('nobody gets the link any more once it is being closed, and its end is nothing that was lost', async () => {
  const broker = new ScriptedBroker();
  await broker.connection.start();
  let end = (): void => {};
  broker.ending = new Promise((resolve) => (end = resolve));
  let closed = false;
  void broker.connection.close().then(() => (closed = true));
  expect(broker.connection.current).toBeUndefined();
  expect(broker.connection.isClosed).toBe(true);
  await broker.clock.advance(3_000);
  expect(closed).toBe(false);
  broker.lose();
  broker.on.warning('too late');
  end();
  await broker.clock.advance(0);
  expect(closed).toBe(true);
  await broker.clock.advance(60_000);
  expect(broker.told).toEqual(['opened 1']);
  expect(broker.done).toEqual(['end 1']);
  expect(broker.attempts).toHaveLength(1);
});

it('a link whose end is not answered is destroyed after a while', async () => {
  const broker = new ScriptedBroker();
  await broker.connection.start();
  broker.ending = new Promise(() => {});
  const closed = broker.connection.close();
  await broker.clock.advance(4_000);
  await closed;
  expect(broker.done).toEqual(['end 1', 'destroy 1: no answer to the closing of the connection']);
});

it('a link that comes after the close is ended', async () => {
  const broker = new ScriptedBroker();
  let come = (): void => {};
  broker.before = () => new Promise((resolve) => (come = resolve));
  const started = broker.connection.start();
  await broker.connection.close();
  come();
  await started;
  expect(broker.done).toEqual(['end 1']);
  expect(broker.told).toEqual([]);
});

it('is suspicious when the third link in a row lasts for a moment only, but not one that it gave up itself', async () => {
  const broker = new ScriptedBroker();
  const { clock, connection } = broker;
  await connection.start();
  const ends: unknown[] = [];
  const silent = (): void => connection.destroy('silent');
  const breaks = (): void => broker.lose();
  for (const [lasted, end] of [
    ...[...Array(2).fill([10, breaks]), [6_000, breaks]],
    ...[...Array(2).fill([10, breaks]), [10, silent]],
    ...Array(4).fill([10, breaks]),
  ] as [number, () => void][]) {
    await clock.advance(lasted);
    expect(connection.ending).toBeUndefined();
    end();
    ends.push([connection.ending, connection.isSuspicious]);
    while (!connection.current) await clock.advance(50);
    expect(connection.isSuspicious).toBe(false);
  }
  const [innocent, suspicious] = [
    ['broken', false],
    ['broken', true],
  ];
  expect(ends).toEqual([
    ...[innocent, innocent, innocent],
    ...[innocent, innocent, ['destroyed', false]],
    ...[innocent, innocent, suspicious, suspicious],
  ]);
});
