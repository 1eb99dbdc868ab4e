import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { ConsoleLogger, Injectable, Logger, type LoggerService } from '@nestjs/common';
import { memory, MemoryBroker, Messaging, MessagingModule, Subscribe, SubscribeBatch } from 'nestjs-messaging';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { FailureLog } from '../../../lib/consumer/settlement/failure-log.js';
import { LogEntry } from '../../../lib/events/log-entry.js';
import { type LogFields, redactedLog } from '../../../lib/events/log.js';
import { connectionAdvice } from '../../../lib/health/connection-advice.js';
import { ConnectionState } from '../../../lib/health/connection-state.js';
import { connectionListener } from '../../../lib/messaging.connection.js';
import { nestLog } from '../../../lib/messaging.log.js';
import { watchShutdownHooks } from '../../../lib/messaging.shutdown-hooks.js';
import type { TransportEvent } from '../../../lib/transport/transport.js';
import { boot, closeApplications } from '../../e2e/support/application.js';
import { waitFor } from '../../brokers/wait-for.js';

type Line = [level: string, message: string, fields?: LogFields];

/** Core's log, kept. */
function recorder(): { readonly lines: Line[]; readonly log: Parameters<typeof redactedLog>[0] } {
  const lines: Line[] = [];
  const line = (level: string) => (message: string, fields?: LogFields) =>
    void lines.push(fields ? [level, message, fields] : [level, message]);
  return { lines, log: { log: line('log'), warn: line('warn'), error: line('error'), debug: line('debug') } };
}

/** As nestjs-pino takes what it is given: an object is merged into the record. */
class PinoStyle implements LoggerService {
  readonly records: Record<string, unknown>[] = [];
  log = (...parts: unknown[]): void => this.keep('info', parts);
  warn = (...parts: unknown[]): void => this.keep('warn', parts);
  error = (...parts: unknown[]): void => this.keep('error', parts);
  debug = (...parts: unknown[]): void => this.keep('debug', parts);

  private keep(level: string, [message, ...rest]: unknown[]): void {
    const context = rest.at(-1);
    this.records.push(
      typeof message === 'object'
        ? { level, context, ...message }
        : { level, context, message, rest: rest.slice(0, -1) },
    );
  }
}

@Injectable()
class Warehouse {
  @Subscribe(['order.created', 'order.paid'], { name: 'warehouse', prefetch: 20 })
  onOrder(): void {
    throw new Error('nothing can be packed amqp://shop:geheim@mq\nWARN a line of its own');
  }

  @SubscribeBatch('reading', { size: 3, dlq: false })
  onReadings(): void {}
}

async function warehouse(
  retry: object = { attempts: 3, backoff: 5 },
): Promise<{ pino: PinoStyle; messaging: Messaging }> {
  const pino = new PinoStyle();
  const { app, messaging } = await boot({
    imports: [MessagingModule.forRoot({ service: 'shop', retry })],
    providers: [Warehouse],
  });
  // What was written at boot went to the logger of the test.
  app.useLogger(pino);
  return { pino, messaging };
}

afterEach(async () => {
  await closeApplications();
  jest.restoreAllMocks();
});

describe('At boot the log says', () => {
  test('of each subscription its queue, routes, handler, prefetch and dead-letter queue, and how many there are', async () => {
    const { log } = await boot({ imports: [MessagingModule.forRoot({ service: 'shop' })], providers: [Warehouse] });
    const own = log.lines.filter((line) => line.endsWith('Messaging'));
    expect(own).toEqual([
      'log What the embedded broker and the publisher retry queue hold is in memory and ends with this process Messaging',
      'log «shop:warehouse:queue»: order.created, order.paid → Warehouse.onOrder, prefetch 20, dead letters in «shop:warehouse:dlq» Messaging',
      'log «shop:reading:queue»: reading → Warehouse.onReadings, prefetch 6, no dead-letter queue Messaging',
      'log 2 subscriptions started Messaging',
    ]);
  });

  test('that there are none, or that the process only publishes', async () => {
    const none = await boot({ imports: [MessagingModule.forRoot()] });
    expect(none.log.lines).toContainEqual('log There are no subscriptions Messaging');
    const publishing = await boot({ imports: [MessagingModule.forRoot({ consume: false })], providers: [Warehouse] });
    expect(publishing.log.lines.join('\n')).toMatch(/only publishes/);
  });

  test('the same of one that is made at run time', async () => {
    const { messaging, log } = await boot({ imports: [MessagingModule.forRoot({ service: 'shop' })] });
    await messaging.subscribe({ route: 'order.created' }, () => undefined);
    expect(log.lines.at(-1)).toMatch(/«shop:order\.created:queue»: order\.created → messaging\.subscribe, prefetch 10/);
  });
});

describe('A message whose handler always fails', () => {
  test('is a warning with the stack at its first call and its last, and for debugging between', async () => {
    const { pino, messaging } = await warehouse();
    const { id } = await messaging.publisher.publish('order.paid', {});
    await waitFor(() => pino.records.some(({ deadLetterQueue }) => deadLetterQueue !== undefined), 'the dead letter');
    const own = pino.records.filter((record) => record.id === id);
    expect(own.map(({ level, attempt }) => [level, attempt])).toEqual([
      ['warn', 1],
      ['debug', 2],
      ['warn', 3],
    ]);
    const [first, second, last] = own;
    expect(first).toMatchObject({
      context: 'Messaging',
      queue: 'shop:warehouse:queue',
      route: 'order.paid',
      attempts: 3,
    });
    expect(first.message).toMatch(
      /^«shop:warehouse:queue»: call 1 of message [-0-9a-f]+ failed \(nothing can be packed .*the next one in 5 ms/,
    );
    expect(Date.parse(String(first.nextCallAt))).toBeGreaterThan(0);
    for (const { stack } of [first, last]) expect(stack).toMatch(/\n {4}at .*Warehouse\.onOrder/);
    expect(second).not.toHaveProperty('stack');
    expect(last).toMatchObject({ deadLetterQueue: 'shop:warehouse:dlq', reason: 'attempts-exhausted' });
    const all = JSON.stringify(own);
    expect(all).not.toContain('geheim');
    expect(all).not.toMatch(/\\nWARN/);
  });

  test('is told with another one at level debug when a hundred were told within a minute, and counted', async () => {
    const clock = new ManualClock();
    const { lines, log } = recorder();
    const failures = new FailureLog('q', { clock, log }, 8);
    const delivery = { queue: 'q', message: { id: 'm', route: 'r', properties: {}, headers: {} } } as never;
    for (let n = 0; n < 130; n++) failures.retried(delivery, 1, 1_000, new Error('down'));
    const count = (level: string): number => lines.filter(([one]) => one === level).length;
    expect([count('warn'), count('debug')]).toEqual([100, 30]);
    await clock.advance(60_000);
    expect(lines.at(-1)?.[1]).toMatch(/the first call failed for 30 more messages within a minute/);
    failures.retried(delivery, 1, 1_000, new Error('down'));
    expect(lines.at(-1)?.[0]).toBe('warn');
  });
});

describe('A line with fields', () => {
  const fields = { queue: 'q', id: 'm-1', stack: 'Error: no\n    at here (file.ts:1:2)' };

  function written(logger: LoggerService): string {
    let text = '';
    const keep = (part: unknown): boolean => ((text += String(part)), true);
    jest.spyOn(process.stdout, 'write').mockImplementation(keep);
    Logger.overrideLogger(logger);
    nestLog('Messaging').warn('it failed', fields);
    jest.restoreAllMocks();
    Logger.overrideLogger(false);
    return text;
  }

  test('is one record of Nest’s JSON, with every field', () => {
    const [record, ...others] = written(new ConsoleLogger({ json: true, colors: false }))
      .trim()
      .split('\n');
    expect(others).toEqual([]);
    const { message, params, context } = JSON.parse(record) as { message: unknown; params?: object; context: string };
    expect(context).toBe('Messaging');
    expect(params ?? message).toMatchObject(fields);
    expect(params === undefined ? (message as LogEntry).message : message).toBe('it failed');
  });

  test('is the line of Nest’s text, with the stack below', () => {
    expect(written(new ConsoleLogger({ colors: false }))).toMatch(
      /WARN \[Messaging\] it failed\nError: no\n {4}at here \(file\.ts:1:2\)\n$/,
    );
  });

  test('is a text where somebody makes one of it, and an object with its fields elsewhere', () => {
    const entry = new LogEntry('it failed', { queue: 'q' });
    expect(String(entry)).toBe('it failed');
    expect({ ...entry }).toEqual({ message: 'it failed', queue: 'q' });
  });
});

describe('A broker that cannot be reached', () => {
  function listening(): { tell: (event: TransportEvent) => void; lines: Line[]; state: ConnectionState } {
    const { lines, log } = recorder();
    const state = new ConnectionState(new ManualClock());
    const parts = {
      transport: { host: 'mq:5672', system: 'rabbitmq' },
      dispatcher: { suspend: () => undefined, resume: () => undefined },
      events: { emit: () => undefined },
      isClosing: () => false,
      isDeclaring: () => false,
    };
    return { tell: connectionListener({ ...parts, state, log } as never), lines, state };
  }
  const refused = 'connect ECONNREFUSED 127.0.0.1:5672';
  const again = (reason: string): TransportEvent => ({ type: 'warning', message: `Cannot connect: ${reason}`, reason });

  test('is one warning, however many connections tell it; another reason is another one, and health has it', () => {
    const { tell, lines, state } = listening();
    tell({ type: 'disconnected', reason: refused });
    tell(again(refused));
    tell(again(refused));
    expect(lines.map(([level, text]) => [level, text])).toEqual([
      [
        'warn',
        expect.stringMatching(
          /^Not connected to rabbitmq at mq:5672: connect ECONNREFUSED .*Nothing listens at this address/,
        ),
      ],
    ]);
    tell(again('Handshake terminated by server: 403 (ACCESS_REFUSED)'));
    tell(again('Handshake terminated by server: 403 (ACCESS_REFUSED)'));
    expect(lines).toHaveLength(2);
    expect(state.report('mq')).toMatchObject({
      state: 'connecting',
      advice: expect.stringContaining('refuses the login'),
    });
    tell({ type: 'connected' });
    expect(lines.map(([level]) => level)).toEqual(['warn', 'warn', 'log']);
    expect(state.report('mq')).not.toHaveProperty('advice');
  });

  test('is a warning also while another connection to it is there', () => {
    const { tell, lines } = listening();
    tell({ type: 'connected' });
    tell(again(refused));
    expect(lines.at(-1)).toEqual(['warn', `Cannot connect: ${refused}`]);
  });

  test.each([
    [refused, 'Nothing listens'],
    ['getaddrinfo ENOTFOUND mq', 'is not found'],
    ['connect ETIMEDOUT 10.0.0.1:5672', 'does not answer'],
    ['Heartbeat timeout', 'does not answer'],
    ['Handshake terminated by server: 403 (ACCESS-REFUSED) with message "…"', 'refuses the login'],
    ["'Authorization Violation'", 'refuses the login'],
    ['self-signed certificate in certificate chain', 'TLS fails'],
    [
      'Connection closed: 320 (CONNECTION-FORCED) with message "CONNECTION_FORCED - broker forced connection closure with reason \'shutdown\'"',
      'on purpose',
    ],
    ['read ECONNRESET', 'The other side ended'],
    ['something else', 'See the reason'],
  ])('says what to look at: %s', (reason, advice) => {
    expect(connectionAdvice(reason)).toContain(advice);
  });

  test('or that blocks for an alarm says what to look at, and since when, and no secret', async () => {
    const broker = new MemoryBroker();
    const { messaging } = await boot({ imports: [MessagingModule.forRoot({ transport: memory({ broker }) })] });
    broker.faults.block(true, 'low on memory');
    expect(messaging.health().connection).toMatchObject({
      state: 'blocked',
      since: expect.any(String),
      reason: 'low on memory',
      advice: expect.stringContaining('resource alarm'),
    });
    broker.faults.block(false);
    broker.faults.disconnect('amqp://shop:geheim@mq refused');
    const { connection, status } = messaging.health();
    expect(status).toBe('down');
    expect(connection.advice).toEqual(expect.any(String));
    expect(JSON.stringify(connection)).not.toContain('geheim');
  });
});

describe('A process that nobody has told to end in order', () => {
  const looked = async (listeners: Record<string, number>): Promise<Line[]> => {
    const clock = new ManualClock();
    const { lines, log } = recorder();
    watchShutdownHooks(clock, log, { listenerCount: (signal: string | symbol) => listeners[String(signal)] ?? 0 });
    await clock.advance(10_000);
    return lines;
  };

  test('is told once, after the start, that enableShutdownHooks is missing', async () => {
    expect(await looked({})).toEqual([['warn', expect.stringContaining('app.enableShutdownHooks()')]]);
  });

  test('is told nothing where it is there, or somebody else listens', async () => {
    expect(await looked({ SIGTERM: 1 })).toEqual([]);
    expect(await looked({ SIGINT: 1 })).toEqual([]);
  });
});
