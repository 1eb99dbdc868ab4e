import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { ManualClock } from 'nestjs-messaging/testing';
import { type Application, boot, closeApplications } from './support/application.js';
import { SharedCoordination } from './support/shared-coordination.js';

const DAY = 86_400_000;

let shared: SharedCoordination;
let clock: ManualClock;
let calls: number[];

beforeEach(() => {
  clock = new ManualClock(Date.UTC(2030, 0, 1));
  shared = new SharedCoordination(clock);
  calls = [];
});
afterEach(closeApplications);

/** One more process of the service, with a subscription. */
async function start(process: number): Promise<Application> {
  const app = await shared.start();
  await app.messaging.subscribe({ route: 'job' }, () => void calls.push(process));
  return app;
}

async function publish({ messaging }: Application, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await messaging.publisher.publish('job', { n });
  await clock.advance(10);
}

describe('a subscription that is paused everywhere', () => {
  test('is paused in all processes within five seconds, and goes on in all when that ends', async () => {
    const [one, two] = [await start(1), await start(2)];
    expect(await one.messaging.pauseEverywhere('job')).toEqual(new Date(clock.now() + DAY));
    await clock.advance(5_000);
    await publish(one, 20);
    expect(calls).toEqual([]);
    const told = [one, two].flatMap(({ log }) =>
      log.lines.filter((line) => line.startsWith('warn «job» is paused in all')),
    );
    expect(told.length).toBe(2);
    await two.messaging.resumeEverywhere('job');
    await clock.advance(5_010);
    expect(calls.length).toBe(20);
    await publish(one, 20);
    expect(new Set(calls)).toEqual(new Set([1, 2]));
  });

  test('is paused in a process that starts later', async () => {
    const one = await start(1);
    await one.messaging.pauseEverywhere('job');
    await one.close();
    const late = await start(2);
    await publish(late, 3);
    await clock.advance(60_000);
    expect(calls).toEqual([]);
  });

  test('is told by health, which is degraded, and by the log when it ends', async () => {
    const one = await start(1);
    await one.messaging.pauseEverywhere('job');
    const { status, consumers } = one.messaging.health();
    expect(status).toBe('degraded');
    expect(consumers[0]).toMatchObject({
      state: 'paused',
      reason: 'paused in all processes until 2030-01-02T00:00:00.000Z',
    });
    await one.messaging.resumeEverywhere('job');
    expect(one.messaging.health()).toMatchObject({ status: 'up', consumers: [{ state: 'consuming' }] });
    expect(one.log.lines.join('\n')).toContain('«job» is not paused in all processes any more');
  });

  test('goes on by itself after a day, unless the pause is renewed', async () => {
    const [one, two] = [await start(1), await start(2)];
    await one.messaging.pauseEverywhere('job');
    await clock.advance(DAY / 2);
    await two.messaging.pauseEverywhere('job');
    await publish(one, 4);
    await clock.advance(DAY - 20_000);
    expect(calls).toEqual([]);
    await clock.advance(30_000);
    expect(calls.length).toBe(4);
  });

  test('stays paused where its process has paused it for itself', async () => {
    const one = await start(1);
    one.messaging.pause('job');
    await one.messaging.pauseEverywhere('job');
    await one.messaging.resumeEverywhere('job');
    await publish(one, 1);
    expect(calls).toEqual([]);
    one.messaging.resume('job');
    await clock.advance(10);
    expect(calls).toEqual([1]);
  });

  test('stays paused where it was made at run time and has paused itself; one that is made after it is not', async () => {
    const { messaging } = await start(1);
    const made = await messaging.subscribe({ route: 'job', name: 'made' }, () => void calls.push(2));
    made.pause();
    await messaging.pauseEverywhere('made');
    expect(() => made.resume()).toThrow(/resumeEverywhere\('made'\)/);
    await messaging.resumeEverywhere('made');
    expect(made.state).toBe('paused');
    made.resume();
    expect(made.state).toBe('consuming');
    made.pause();
    await made.stop();
    const next = await messaging.subscribe({ route: 'job', name: 'made' }, () => void calls.push(3));
    await messaging.pauseEverywhere('made');
    await messaging.resumeEverywhere('made');
    expect(next.state).toBe('consuming');
  });

  test('is not resumed by one process for itself', async () => {
    const one = await start(1);
    await one.messaging.pauseEverywhere('job');
    expect(() => one.messaging.resume('job')).toThrow(/resumeEverywhere\('job'\)/);
  });

  test('stays as it is while the store is down; a process that starts then consumes until it answers', async () => {
    const one = await start(1);
    await one.messaging.pauseEverywhere('job');
    shared.down = true;
    const two = await start(2);
    await publish(two, 1);
    expect(calls).toEqual([2]);
    await expect(one.messaging.resumeEverywhere('job')).rejects.toMatchObject({ code: 'COORDINATION_STORE' });
    shared.down = false;
    await clock.advance(5_010);
    await publish(two, 3);
    expect(calls).toEqual([2]);
    expect(two.log.lines.join('\n')).toContain('What is paused in all processes is known again');
  });

  test('is refused for a name that no subscription has, and without a store', async () => {
    const one = await start(1);
    await expect(one.messaging.pauseEverywhere('jobs')).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    const transport = rabbitmq({ url: 'amqp://127.0.0.1:1' });
    const { messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport, shutdownTimeout: 1 })],
    });
    await messaging.subscribe({ route: 'job' }, () => undefined).catch(() => undefined);
    await expect(messaging.pauseEverywhere('job')).rejects.toThrow(/«coordination»/);
  });

  test('on the embedded broker needs no store, and no timer while nothing is paused', async () => {
    const { messaging } = await boot({ imports: [MessagingModule.forRoot({ clock })] });
    await messaging.subscribe({ route: 'job' }, () => void calls.push(1));
    const before = clock.timerCount;
    await messaging.pauseEverywhere('job');
    await messaging.publisher.publish('job', {});
    await clock.advance(DAY + 10_000);
    expect(calls).toEqual([1]);
    expect(clock.timerCount).toBeLessThanOrEqual(before);
  });
});
