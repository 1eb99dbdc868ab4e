import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { ManualClock } from 'nestjs-messaging/testing';
import { InvalidOptionError } from 'nestjs-messaging';
import type { DeadLetterAlert } from 'nestjs-messaging/health';
import { DurableQueue } from '../../../lib/durable-queue/durable-queue.js';
import { requeueDestination } from '../../../lib/requeue/requeue-destination.js';
import { writeMeta } from '../../../lib/requeue/requeue-meta.js';
import { type RequeueOptions, resolveRequeueOptions } from '../../../lib/requeue/requeue-options.js';
import { RequeueServer } from '../../../lib/requeue/requeue-server.js';
import { waitFor } from '../../brokers/wait-for.js';

const MINUTE = 60_000;
/** Nobody is there: dead letters are looked after all the same. */
const SERVERS = 'nats://127.0.0.1:1';
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A folder in whose queue `mail` these were given up, so many minutes before the clock's time. */
async function given(clock: ManualClock, minutes: readonly number[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'requeue-place-'));
  folders.push(directory);
  const log = { log: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
  const hosts = resolveRequeueOptions({ servers: SERVERS, dataDir: directory }).hosts;
  const queue = new DurableQueue(
    {
      directory,
      directoryOption: 'dataDir',
      neededBy: 'a test',
      adoptInterval: 1_000,
      destination: requeueDestination(hosts),
    },
    clock,
    { log, adopted: () => {}, failed: () => {} },
  );
  await queue.open();
  for (const age of minutes) {
    const fields = { lane: undefined, priority: 0, dueAt: 0, expiresAt: undefined, attempts: 1, returns: 0 };
    const meta = writeMeta({ subject: 'mail.de', headers: [] });
    const entry = queue.append(
      { ...fields, queue: 'mail', id: `m${age}`, queuedAt: clock.now(), bytes: 1, meta, body: Buffer.from('x') },
      () => {},
    );
    queue.commit();
    const error = { errorClass: 'E', errorCode: 'E', errorMessage: 'no' };
    queue.bury(entry, { reason: 'attempts-exhausted', ...error, time: clock.now() - age * MINUTE });
  }
  queue.close();
  return directory;
}

async function serve(clock: ManualClock, options: RequeueOptions): Promise<{ server: RequeueServer; lines: string[] }> {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const server = new RequeueServer(
    { servers: SERVERS, clock, ...options },
    { log: write, warn: write, error: write, debug: write },
  );
  void server.start().catch(() => {});
  await waitFor(async () => {
    await clock.advance(0);
    return lines.some((line) => /deleted|Alert/.test(line));
  }, 'its first look');
  return { server, lines };
}

describe('the dead letters of a requeue service', () => {
  test('that are too old or too many are deleted, by the time at which they were given up, and told in log and health', async () => {
    const clock = new ManualClock();
    const dataDir = await given(clock, [1, 30, 2, 3]);
    const { server, lines } = await serve(clock, { dataDir, deadLetters: { maxAge: 10 * MINUTE, maxCount: 2 } });
    expect(server.health().store).toMatchObject({
      deadLetters: 2,
      expiry: { maxAge: 10 * MINUTE, maxCount: 2, expired: { maxAge: 1, maxCount: 1 } },
    });
    expect(lines).toContain(`1 dead letters in «mail» were deleted: older than maxAge, ${10 * MINUTE} ms`);
    expect(lines).toContain('1 dead letters in «mail» were deleted: more than maxCount, 2');
    await server.stop();
    expect(clock.pending).toBe(0);
  });

  test('raise an alert that degrades its health', async () => {
    const clock = new ManualClock();
    const dataDir = await given(clock, [1, 30]);
    const alerts: DeadLetterAlert[] = [];
    const onAlert = (alert: DeadLetterAlert): void => void alerts.push(alert);
    const { server } = await serve(clock, {
      dataDir,
      alerts: { oldest: 10 * MINUTE, deadLetters: { above: 1 }, onAlert },
    });
    expect(alerts).toMatchObject([
      { kind: 'dead-letters', count: 2, places: [{ place: '«mail»', count: 2 }] },
      { kind: 'oldest-dead-letter', oldestAgeMs: 30 * MINUTE },
    ]);
    expect(server.health().store.alerts).toHaveLength(2);
    await server.stop();
  });

  test.each([
    [{ deadLetters: { maxAge: -1 } }, 'deadLetters.maxAge'],
    [{ deadLetters: { interval: 5 } }, 'deadLetters.interval'],
    [{ alerts: {} }, 'alerts'],
  ])('have options that are checked: %j', (options, option) => {
    const resolve = (): unknown => resolveRequeueOptions({ dataDir: 'x', ...options } as RequeueOptions);
    expect(resolve).toThrow(expect.objectContaining({ constructor: InvalidOptionError, option }));
  });
});
