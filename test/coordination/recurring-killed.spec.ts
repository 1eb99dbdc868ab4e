import { afterEach, expect, test } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { type Fatal, kills, killProcesses, Process } from './support/processes.js';
import { describeStores, type SharedPlace } from './support/stores.js';

const SPEED = 20;
const STEP_MS = 20_000;
const LATE_MS = 60_000;
/** And what clocks may differ by. */
const LEASE_MS = 15_000;
const POINTS = ['claimed', 'before the send', 'sent', 'before the claim', 'amid the send', 'recorded'];
/** A quick look by default; `KILLS=60` and more goes through every point many times. */
const KILLS = Number(process.env.KILLS ?? (process.env.LONG_RUNS ? 60 : POINTS.length));
const fatals: Fatal[] = Array.from({ length: KILLS }, (_, n) => ({
  point: POINTS[n % POINTS.length],
  nth: 1 + ((n * 7 + 3) % 4),
}));

afterEach(async () => {
  killProcesses();
  await closeApplications();
});

const timeOf = (id: string): number => Date.parse(id.split(':').slice(2).join(':'));
const idsOf = (ids: Iterable<string>, name: string): number[] =>
  [...new Set(ids)].filter((id) => id.startsWith(`shop:${name}:`)).map(timeOf).sort((a, b) => a - b); // prettier-ignore

async function published(place: SharedPlace): Promise<void> {
  const base = Date.now();
  const fastNow = (): number => base + (Date.now() - base) * SPEED;
  const settings = { store: place.store, servers: place.servers, base, speed: SPEED };
  const { messaging } = await boot({
    imports: [MessagingModule.forRoot({ service: 'watch', transport: nats({ servers: place.servers }) })],
  });
  const delivered = new Set<string>();
  const handled: string[] = [];
  await messaging.subscribe({ route: 'tick.*', name: 'every' }, (_, { id }) => void delivered.add(id));
  await messaging.subscribe({ route: 'tick.*', name: 'idempotent', idempotent: true }, (_, { id }) => void handled.push(id)); // prettier-ignore

  const processes: Process[] = [];
  await kills('recurring', settings, fatals, 3, processes);
  const deadAt = fastNow();
  await waitFor(() => fastNow() > deadAt + LATE_MS + 2 * STEP_MS, 'times that are missed', 30_000);
  const backAt = fastNow();
  const last = new Process('recurring', settings);
  processes.push(last);
  const back = (name: string): boolean => idsOf(delivered, name).some((at) => at > backAt + STEP_MS);
  await waitFor(() => ['all', 'once', 'skip'].every(back), 'times after those', 60_000);
  await last.stop();
  const told = processes.flatMap((one) => one.told);
  const sent = told.filter(({ what }) => what === 'sent').map(({ words }) => words[0]);
  await waitFor(() => sent.every((id) => delivered.has(id) && handled.includes(id)), 'all that was confirmed', 30_000);

  const all = idsOf(delivered, 'all');
  const expected = Array.from({ length: (all.at(-1)! - all[0]) / STEP_MS + 1 }, (_, n) => all[0] + n * STEP_MS);
  expect(all).toEqual(expected);
  expect(handled.length).toBe(new Set(handled).size);
  for (const id of delivered) expect(timeOf(id) % STEP_MS).toBe(0);

  // Whoever was killed with a time has left it; nobody else's is taken, and only such a one is sent twice.
  const taken = told.filter(({ what }) => what === 'taken');
  for (const { words } of taken) {
    const left = Number(words[1]) - Number(words[2]);
    // Processes of Redis go by their own clocks here: what is further ahead counts as written before one was set back.
    expect(left <= 0 || left > LEASE_MS).toBe(true);
  }
  const left = new Set(taken.map(({ words }) => words[0]));
  expect(left.size).toBeGreaterThan(0);
  const twice = sent.filter((id, at) => sent.indexOf(id) !== at);
  expect(twice.filter((id) => !left.has(id))).toEqual([]);

  const missed = (name: string): number[] =>
    idsOf(delivered, name).filter((at) => at > deadAt && at < backAt && !left.has(`shop:${name}:${new Date(at).toISOString()}`)); // prettier-ignore
  expect(missed('all').length).toBeGreaterThanOrEqual(LATE_MS / STEP_MS);
  expect(missed('once').length).toBeLessThanOrEqual(1);
  expect(missed('skip').filter((at) => at < backAt - LATE_MS)).toEqual([]);
  console.log(
    `${KILLS} kills: ${all.length} times, 0 lost, 0 handled twice; ${left.size} taken over, ${twice.length} sent again under the same id`,
  );
}

describeStores('recurring messages', (place) => {
  test(
    `${KILLS} processes killed at any point, three at a time: each time is published, and handled once`,
    async () => {
      const shared = await place();
      try {
        await published(shared);
      } finally {
        shared.dispose();
      }
    },
    120_000 + KILLS * 15_000,
  );
});
