import { afterEach, expect, test } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { type Fatal, kills, killProcesses, Process, type Told } from './support/processes.js';
import { describeStores, type SharedPlace } from './support/stores.js';

const SPEED = 3;
/** So many wait at a time. */
const WAITING = 20;
const CAP = 2;
const RATE = 12;
const PER_MS = 3_000;
/** The first ones leave more permits than there are: nothing would go on if they did not come back. */
const POINTS = ['handling', 'permitted', 'handled', 'paced', 'asking', 'handling'];
const KILLS = Number(process.env.KILLS ?? (process.env.LONG_RUNS ? 60 : POINTS.length));
const fatals: Fatal[] = Array.from({ length: KILLS }, (_, n) => ({
  point: POINTS[n % POINTS.length],
  nth: 1 + (n % 2),
}));

afterEach(async () => {
  killProcesses();
  await closeApplications();
});

/** The most handlers that ran at a time, as somebody who saw all of them at once would count them. */
function mostAtATime(processes: readonly Process[]): number {
  const steps = processes.flatMap(({ told }) => {
    const open = new Map<string, number>();
    const found: [at: number, step: number][] = [];
    const end = (n: string, at: number): void => {
      const from = open.get(n);
      if (from !== undefined) found.push([from, 1], [at, -1]);
      open.delete(n);
    };
    for (const { what, words, at } of told) {
      if (what === 'begun') open.set(words[0], at);
      else if (what === 'ended') end(words[0], at);
      else if (what === 'killed') for (const n of [...open.keys()]) end(n, at);
    }
    return found;
  });
  let [count, most] = [0, 0];
  for (const [, step] of steps.sort(([one, a], [two, b]) => one - two || a - b)) most = Math.max(most, (count += step));
  return most;
}

async function limited(place: SharedPlace): Promise<void> {
  const settings = { store: place.store, servers: place.servers, base: Date.now(), speed: place.ownClock ? 1 : SPEED };
  const { messaging } = await boot({
    imports: [
      MessagingModule.forRoot({ service: 'shop', transport: nats({ servers: place.servers }), unroutable: 'queue' }),
    ],
  });
  const processes: Process[] = [];
  const told = (kind: string): Told[] => processes.flatMap((one) => one.told).filter(({ what }) => what === kind);
  const numbers = (kind: string): number => new Set(told(kind).map(({ words }) => words[0])).size;
  let published = 0;
  let killing = true;
  const publishing = (async (): Promise<void> => {
    while (killing) {
      await Promise.all(['capped', 'paced'].map((route) => messaging.publisher.publish(route, { n: published })));
      published++;
      await waitFor(() => !killing || ['ended', 'done'].some((kind) => published - numbers(kind) < WAITING), 'room', 240_000); // prettier-ignore
    }
  })();
  try {
    await kills('limits', settings, fatals, 3, processes);
  } finally {
    killing = false;
    await publishing;
  }
  processes.push(...[1, 2, 3].map(() => new Process('limits', settings)));
  await waitFor(() => ['ended', 'done'].every((kind) => numbers(kind) === published), 'all messages', 90_000);
  await Promise.all(processes.slice(-3).map((one) => one.stop()));

  expect(mostAtATime(processes)).toBe(CAP);
  const permits = told('paced').map(({ words }) => Number(words[0])).sort((a, b) => a - b); // prettier-ignore
  for (let n = RATE; n < permits.length; n++) expect(permits[n] - permits[n - RATE]).toBeGreaterThanOrEqual(PER_MS);
  const left = told('killed').filter(({ words }) => /^(handling|permitted|handled)$/.test(words[0])).length;
  expect(left).toBeGreaterThan(CAP);
  console.log(
    `${KILLS} kills, ${left} of them with a permit: at most ${mostAtATime(processes)} of ${CAP} at a time, 0 of ${2 * published} messages lost`,
  );
}

describeStores('limits', (place) => {
  test(
    `${KILLS} processes killed with permits, three at a time: never more than the limit, and what they had comes back`,
    async () => {
      const shared = await place();
      try {
        await limited(shared);
      } finally {
        shared.dispose();
      }
    },
    180_000 + KILLS * 15_000,
  );
});
