import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openTelemetry } from 'nestjs-messaging/opentelemetry';
import { Recurring } from 'nestjs-messaging/recurring';
import { ManualClock } from 'nestjs-messaging/testing';
import { type Application, closeApplications } from '../e2e/support/application.js';
import { SharedCoordination } from '../e2e/support/shared-coordination.js';
import { Collected, registerGlobals, unregisterGlobals } from './support/collected.js';

beforeAll(registerGlobals);
afterAll(unregisterGlobals);
afterEach(closeApplications);

let shared: SharedCoordination;
let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock(Date.UTC(2030, 0, 1));
  shared = new SharedCoordination(clock);
});

class Ticks {
  @Recurring('*/5 * * * *', 'tick')
  due(): object {
    return {};
  }
}

const telemetryOf = ({ tracer, meter }: Collected): ReturnType<typeof openTelemetry> =>
  openTelemetry({ tracer, meter });

const start = (telemetry: ReturnType<typeof openTelemetry>): Promise<Application> =>
  shared.start({ telemetry }, {}, [Ticks]);

/** Three messages at a rate of one, one recurring message, a pause, and a store that is down for a while. */
async function run({ messaging }: Application): Promise<void> {
  await messaging.subscribe({ route: 'tick' }, () => undefined);
  await messaging.subscribe({ route: 'job', limit: { rate: 1, per: 60_000 } }, () => undefined);
  for (let n = 0; n < 3; n++) await messaging.publisher.publish('job', { n });
  await clock.advance(301_000);
  await messaging.pauseEverywhere('tick');
  shared.down = true;
  await clock.advance(5_000);
}

test('OpenTelemetry counts what waits for a limit, times of recurring messages and failures of the store, and shows pauses', async () => {
  const collected = new Collected();
  const app = await start(telemetryOf(collected));
  const points = async (name: string): Promise<unknown[]> =>
    (await collected.points(`nestjs_messaging.${name}`)).map(({ attributes, value }) => [
      attributes['nestjs_messaging.recurring.name'] ??
        attributes['nestjs_messaging.store.operation'] ??
        attributes['messaging.destination.name'] ??
        attributes['messaging.system'],
      ...(attributes['nestjs_messaging.outcome'] ? [attributes['nestjs_messaging.outcome']] : []),
      value,
    ]);
  await run(app);
  expect(await points('consumer.limited.messages')).toEqual([['shop:job:queue', 2]]);
  expect(await points('recurring.times')).toEqual([['tick', 'published', 1]]);
  expect(await points('store.errors')).toContainEqual(['pause', 1]);
  expect(await points('coordination.reachable')).toEqual([['memory', 0]]);
  expect((await points('consumer.paused')).sort()).toEqual([
    ['shop:job:queue', 0],
    ['shop:tick:queue', 1],
  ]);
  // Seven times were missed meanwhile; a process that starts then says so, and publishes the last one.
  await app.close();
  await clock.advance(35 * 60_000);
  shared.down = false;
  const again = new Collected();
  const late = await start(telemetryOf(again));
  await late.messaging.subscribe({ route: 'tick' }, () => undefined);
  await clock.advance(2_000);
  const told = await again.points('nestjs_messaging.recurring.times');
  expect(told.map(({ attributes, value }) => [attributes['nestjs_messaging.outcome'], value]).sort()).toEqual([
    ['passed-over', 1],
    ['published', 1],
  ]);
  expect((await again.points('nestjs_messaging.coordination.reachable')).map(({ value }) => value)).toEqual([1]);
});
