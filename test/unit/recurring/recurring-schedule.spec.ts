import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { CoordinationStore } from '../../../lib/coordination/coordination-store.js';
import { memoryCoordinationStore } from '../../../lib/coordination/memory-coordination-store.js';
import { CoordinationStoreError } from '../../../lib/errors/coordination-errors.js';
import { MessagingEvents } from '../../../lib/events/messaging-events.js';
import { cronTimes } from '../../../lib/recurring/cron-times.js';
import type { MissedPolicy } from '../../../lib/recurring/recurring-options.js';
import { RecurringSchedule } from '../../../lib/recurring/recurring-schedule.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2030, 0, 1);

let clock: ManualClock;
let store: CoordinationStore;
let sent: string[];
let lines: string[];
let send: (id: string) => Promise<void>;
let schedules: RecurringSchedule[];

beforeEach(() => {
  clock = new ManualClock(START);
  store = memoryCoordinationStore().create({ clock });
  sent = [];
  lines = [];
  schedules = [];
  send = async (id) => void sent.push(id.slice('reports:nightly:'.length));
});
afterEach(async () => void (await Promise.all(schedules.map((schedule) => schedule.stop()))));

interface Process {
  cron?: string;
  missed?: MissedPolicy;
  timeZone?: string;
  make?: () => unknown;
  store?: CoordinationStore;
}

/** One more process. */
async function start({
  cron = '0 * * * *',
  missed = 'once',
  timeZone = 'UTC',
  make,
  ...own
}: Process = {}): Promise<RecurringSchedule> {
  const line = (text: string): void => void lines.push(text);
  const schedule = new RecurringSchedule(
    {
      ...{ service: 'reports', name: 'nightly', place: 'Reports.nightly', spec: `«${cron}» in ${timeZone}`, missed },
      times: await cronTimes(cron, timeZone, clock.now()),
      make: make ?? (() => ({})),
      send: ({ id }) => send(id),
    },
    {
      store: own.store ?? store,
      clock,
      log: { log: line, warn: line, error: line, debug: line },
      events: new MessagingEvents(() => undefined),
    },
  );
  // One that is killed never ends.
  if (!own.store) schedules.push(schedule);
  schedule.start();
  await clock.advance(0);
  return schedule;
}

/** A process that is killed: nothing that it asks for is answered any more. */
function killable(): { store: CoordinationStore; kill: () => void } {
  let dead = false;
  return {
    kill: () => void (dead = true),
    store: {
      change: (key, change) => (dead ? new Promise(() => undefined) : store.change(key, change)),
      close: async () => undefined,
    },
  };
}

const at = (hour: number, minute = 0): string => new Date(START + hour * HOUR + minute * MINUTE).toISOString();

describe('a recurring message', () => {
  test('is published at each time by one of several processes, under the id of the time', async () => {
    for (let n = 0; n < 5; n++) await start();
    await clock.advance(3 * HOUR);
    expect(sent).toEqual([at(1), at(2), at(3)]);
  });

  test('counts from the first start, and is not published for times before', async () => {
    await start({ missed: 'all' });
    expect(sent).toEqual([]);
  });

  test.each<[MissedPolicy, number, string[]]>([
    ['once', 30, [at(1), at(5)]],
    ['all', 30, [at(1), at(2), at(3), at(4), at(5)]],
    ['skip', 30, [at(1)]],
    ['skip', 1, [at(1), at(5)]],
  ])('that was missed is treated as «%s» says, %d minutes after the last time', async (missed, minutes, expected) => {
    const first = await start({ missed });
    await clock.advance(1.5 * HOUR);
    await first.stop();
    await clock.advance(3.5 * HOUR + minutes * MINUTE);
    await start({ missed });
    await clock.advance(MINUTE);
    expect(sent).toEqual(expected);
    if (missed !== 'all') expect(lines.join('\n')).toContain('passes over times that were missed');
    await clock.advance(HOUR);
    expect(sent).toEqual([...expected, at(6)]);
  });

  test('that was missed more than a hundred times is published for the newest hundred', async () => {
    const first = await start({ cron: '* * * * *', missed: 'all' });
    await first.stop();
    await clock.advance(300 * MINUTE);
    await start({ cron: '* * * * *', missed: 'all' });
    await clock.advance(10 * SECOND);
    expect(sent.length).toBe(100);
    expect([sent[0], sent.at(-1)]).toEqual([at(0, 201), at(0, 300)]);
    expect(lines.filter((line) => line.includes('passes over times that were missed')).length).toBe(1);
  });

  test('whose process is killed before it has published is published by another, whatever is missed', async () => {
    const killed = killable();
    await start({ missed: 'skip', store: killed.store, make: () => killed.kill() });
    await start({ missed: 'skip' });
    await clock.advance(HOUR);
    expect(sent).toEqual([]);
    await clock.advance(5 * MINUTE);
    expect(sent).toEqual([at(1)]);
    expect(lines.join('\n')).toContain('the process that had it did not end it');
  });

  test('whose process is killed after it has published comes again under the same id', async () => {
    const killed = killable();
    const before = send;
    send = async (id) => {
      await before(id);
      killed.kill();
    };
    await start({ store: killed.store });
    await clock.advance(HOUR);
    send = before;
    await start();
    await clock.advance(MINUTE);
    expect(sent).toEqual([at(1), at(1)]);
    await clock.advance(HOUR);
    expect(sent).toEqual([at(1), at(1), at(2)]);
  });

  test('whose body takes longer than a lease is made by nobody else meanwhile', async () => {
    let made = 0;
    const make = (): Promise<void> => {
      made++;
      return new Promise((resolve) => void clock.after(9 * MINUTE, resolve));
    };
    for (let n = 0; n < 3; n++) await start({ make });
    await clock.advance(HOUR + 11 * MINUTE);
    expect([made, sent]).toEqual([1, [at(1)]]);
    expect(lines.filter((line) => line.includes('has not answered for 10000 ms')).length).toBe(1);
  });

  test('whose body never comes is tried again after ten minutes, and published once where the first comes late', async () => {
    let made = 0;
    let late = (): void => undefined;
    const make = (): unknown => (++made === 1 ? new Promise<void>((resolve) => (late = resolve)) : {});
    await start({ make });
    await clock.advance(HOUR + 9 * MINUTE);
    expect([made, sent]).toEqual([1, []]);
    await clock.advance(2 * MINUTE);
    late();
    await clock.advance(MINUTE);
    expect([made, sent]).toEqual([2, [at(1)]]);
    expect(lines.join('\n')).toMatch(
      /Reports\.nightly\) failed, and is tried again in 1000 ms: no answer within 600000/,
    );
  });

  test('of a process that stood still for longer than its lease is left to who has it now', async () => {
    let release = (): void => undefined;
    await start({ make: () => new Promise<void>((resolve) => (release = resolve)) });
    await clock.advance(HOUR);
    // Its renewals come too late.
    await store.change('recurring:reports:nightly', (text) => ({
      result: undefined,
      state: JSON.stringify({ ...JSON.parse(text!), token: 'another' }),
      keepMs: HOUR * 24,
    }));
    release();
    await clock.advance(SECOND);
    expect(sent).toEqual([]);
    expect(lines.join('\n')).toContain('another process has it now');
  });

  test('that cannot be made or sent is tried again with growing pauses, and not given up', async () => {
    let failures = 4;
    const before = send;
    send = async (id) => {
      if (failures-- > 0) throw new Error('no connection');
      await before(id);
    };
    await start();
    await clock.advance(HOUR + 3 * SECOND);
    expect(sent).toEqual([]);
    await clock.advance(20 * SECOND);
    expect(sent).toEqual([at(1)]);
    expect(lines.filter((line) => line.includes('no connection')).length).toBe(4);
  });

  test('waits while the store is down, and is published when it is back', async () => {
    let down = false;
    const failing: CoordinationStore = {
      change: async (key, change) => {
        if (down) throw new CoordinationStoreError('down');
        return store.change(key, change);
      },
      close: async () => undefined,
    };
    await start({ store: failing });
    down = true;
    await clock.advance(1.5 * HOUR);
    expect(sent).toEqual([]);
    down = false;
    await clock.advance(2 * MINUTE);
    expect(sent).toEqual([at(1)]);
    expect(lines.filter((line) => line.includes('waits for its coordination store')).length).toBeLessThan(4);
  });

  test('with another expression counts from the start of the first process that has it', async () => {
    const old = await start({ cron: '0 * * * *' });
    await clock.advance(1.5 * HOUR);
    await old.stop();
    await clock.advance(2 * HOUR);
    await start({ cron: '15 * * * *', missed: 'all' });
    await clock.advance(HOUR);
    expect(sent).toEqual([at(1), at(4, 15)]);
    expect(lines.join('\n')).toContain('changed from «0 * * * *» in UTC');
  });

  test('of processes whose clocks differ goes by that of the store', async () => {
    // Its own clock is an hour ahead; the store's counts.
    const ahead = Object.assign(Object.create(clock) as ManualClock, { now: () => clock.now() + HOUR });
    const line = (text: string): void => void lines.push(text);
    const schedule = new RecurringSchedule(
      {
        ...{ service: 'reports', name: 'nightly', place: 'a', spec: 's', missed: 'once' },
        times: await cronTimes('0 * * * *', 'UTC', clock.now()),
        make: () => ({}),
        send: ({ id }) => send(id),
      },
      {
        store,
        clock: ahead,
        log: { log: line, warn: line, error: line, debug: line },
        events: new MessagingEvents(() => undefined),
      },
    );
    schedules.push(schedule);
    schedule.start();
    await clock.advance(HOUR - 1);
    expect(sent).toEqual([]);
    await clock.advance(1);
    expect(sent).toEqual([at(1)]);
  });

  test('is not published twice where the clock is set back by less than an hour, and goes on where by more', async () => {
    let offset = 0;
    const stepping = Object.assign(Object.create(clock) as ManualClock, { now: () => clock.now() + offset });
    store = memoryCoordinationStore().create({ clock: stepping });
    await start({ cron: '*/10 * * * *' });
    await clock.advance(HOUR);
    expect(sent.length).toBe(6);
    offset = -30 * MINUTE;
    await clock.advance(30 * MINUTE);
    expect(sent.length).toBe(6);
    await clock.advance(10 * MINUTE + SECOND);
    expect(sent.at(-1)).toBe(at(1, 10));
    offset = -5 * HOUR;
    await clock.advance(11 * MINUTE);
    expect(lines.join('\n')).toContain('the clock was wrong');
    expect(sent.length).toBeGreaterThan(7);
  });

  test('stops with the application, when the one that is being published is over', async () => {
    let release = (): void => undefined;
    send = (id) => new Promise<void>((resolve) => (release = resolve)).then(() => void sent.push(id));
    const schedule = await start();
    await clock.advance(HOUR);
    let stopped = false;
    const stopping = schedule.stop().then(() => (stopped = true));
    await clock.advance(SECOND);
    expect(stopped).toBe(false);
    release();
    await stopping;
    await clock.advance(3 * HOUR);
    expect(sent.length).toBe(1);
    expect(clock.pending).toBe(0);
  });
});

describe('times of day', () => {
  const next = async (cron: string, timeZone: string, from: string, count: number): Promise<string[]> => {
    const times = await cronTimes(cron, timeZone, Date.parse(from));
    const found: string[] = [];
    for (let at = Date.parse(from); found.length < count;) found.push(new Date((at = times.next(at)!)).toISOString());
    return found;
  };

  test('that the clock leaps over come once, when it has leapt', async () => {
    for (const cron of ['30 2 * * *', '0 2 * * *', '0 3 * * *'])
      expect((await next(cron, 'Europe/Berlin', '2027-03-27T12:00:00Z', 2))[0]).toBe('2027-03-28T01:00:00.000Z');
    expect(await next('30 2 * * *', 'America/New_York', '2027-03-13T12:00:00Z', 2)).toEqual([
      '2027-03-14T07:00:00.000Z',
      '2027-03-15T06:30:00.000Z',
    ]);
  });

  test('that come twice are taken the first time', async () => {
    expect(await next('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
    expect(await next('30 1 * * *', 'America/New_York', '2026-10-31T12:00:00Z', 2)).toEqual([
      '2026-11-01T05:30:00.000Z',
      '2026-11-02T06:30:00.000Z',
    ]);
  });

  test('of every hour or quarter go on in the hour that comes twice, and leave out none in the one that is leapt over', async () => {
    const every = async (cron: string, from: string, stepMs: number, count: number): Promise<void> => {
      const found = (await next(cron, 'Europe/Berlin', from, count)).map(Date.parse);
      expect(found.slice(1).map((time, n) => time - found[n])).toEqual(Array.from({ length: count - 1 }, () => stepMs));
    };
    for (const from of ['2026-10-24T22:00:00Z', '2027-03-27T22:00:00Z']) {
      await every('0 * * * *', from, HOUR, 8);
      await every('*/15 * * * *', from, 15 * MINUTE, 32);
    }
  });

  test('are the same backwards as forwards, over both changes', async () => {
    for (const cron of ['30 2 * * *', '*/20 * * * *', '0 */2 * * *'])
      for (const from of ['2026-10-24T12:00:00Z', '2027-03-27T12:00:00Z']) {
        const forwards = (await next(cron, 'Europe/Berlin', from, 12)).map(Date.parse);
        const times = await cronTimes(cron, 'Europe/Berlin', Date.parse(from));
        for (const n of [3, 11]) expect(times.last(forwards[n], 4).reverse()).toEqual(forwards.slice(n - 3, n + 1));
      }
  });

  test('of what is no expression or zone are refused with the remedy', async () => {
    const now = Date.now();
    await expect(cronTimes('60 * * * *', 'UTC', now)).rejects.toThrow(/Recurring\.cron.*minute: 60/s);
    await expect(cronTimes('0 3 * *', 'UTC', now)).rejects.toThrow(/five fields/);
    await expect(cronTimes('0 0 30 2 *', 'UTC', now)).rejects.toThrow(/still to come/);
    await expect(cronTimes('0 3 * * *', 'Berlin', now)).rejects.toThrow(/Europe\/Berlin/);
  });
});

test('a process whose time is a little behind takes nothing from another', async () => {
  const asked: string[] = [];
  const ends: (() => void)[] = [];
  send = (id) => {
    asked.push(id);
    return new Promise((resolve) => ends.push(resolve));
  };
  await start();
  const behind: CoordinationStore = {
    change: (key, change) => store.change(key, (state, now) => change(state, now - 50)),
    close: async () => undefined,
  };
  // It looks in the very moment in which the other has taken the time: to it that lease is longer than any.
  await clock.advance(HOUR);
  expect(asked.length).toBe(1);
  await start({ store: behind });
  await clock.advance(2 * MINUTE);
  expect(asked.length).toBe(1);
  for (const end of ends) end();
  await clock.advance(1);
});
