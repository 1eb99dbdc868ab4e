import { beforeEach, expect, test } from '@jest/globals';
import { ManualClock } from '../../lib/clock/manual-clock.js';
import type { FleetMember } from '../../lib/dashboard/fleet/fleet-member.js';
import { FleetWatch } from '../../lib/dashboard/fleet/fleet-watch.js';
import type { ProcessReport } from '../../lib/dashboard/fleet/process-report.js';
import { Seal } from '../../lib/dashboard/fleet/seal.js';

const report = (id: string): ProcessReport => ({
  ...{ id, queue: `queue of ${id}`, service: 'shop', connection: 'default', host: 'here', pid: 1, startedAt: 0 },
  ...{ status: 'up', troubles: [], inFlight: 0, waiting: 0, subscriptions: [], more: 0 },
});

let clock: ManualClock;
let sent: any[];
let isConnected: boolean;
let isBlocked: boolean;
let hear: (content: any) => void;
let watch: FleetWatch;

beforeEach(() => {
  clock = new ManualClock();
  sent = [];
  isConnected = true;
  isBlocked = false;
  const member = {
    ...{ id: 'own', queue: 'queue of own', refused: {}, report: report('own') },
    listen: (listener: typeof hear) => ((hear = listener), () => (hear = () => undefined)),
    send: async (content: object, queue?: string) => {
      sent.push({ ...content, queue });
      if (isBlocked) return new Promise(() => undefined);
      return isConnected ? { status: 'confirmed' } : { status: 'failed', error: new Error('no connection') };
    },
  };
  watch = new FleetWatch(member as unknown as FleetMember, clock);
});

const shown = (): any[] => (watch.told() as any).processes.map(({ id, missed }: any) => [id, missed]);
const answer = (id: string, ask = sent.at(-1)): void =>
  hear({ kind: 'state', ...{ ask: ask.ask, asker: ask.asker, report: report(id) } });
/** The next ask. */
async function round(): Promise<void> {
  await clock.advance(5_000);
  watch.watch();
  await clock.advance(0);
}

test('all are asked every 5 s while somebody looks, and a process that misses three answers is gone', async () => {
  watch.watch();
  watch.watch();
  expect(sent).toMatchObject([{ kind: 'ask', ask: 1, queue: undefined, answerTo: 'queue of own' }]);
  for (const id of ['a', 'b']) answer(id);
  await clock.advance(4_999);
  watch.watch();
  expect(sent).toHaveLength(1);
  const seen: unknown[] = [];
  for (let asks = 0; asks < 4; asks++) {
    await round();
    answer('a');
    seen.push(shown());
  }
  const a = ['a', 0];
  expect(seen).toEqual([[a, ['b', 0]], [a, ['b', 1]], [a, ['b', 2]], [a]]);
});

test('an answer that is late counts, and one to somebody else does not', async () => {
  watch.watch();
  const [first] = sent;
  await round();
  answer('a', first);
  answer('b', { ...first, asker: 'another' });
  hear({ kind: 'state', ask: first.ask, asker: first.asker, report: { id: 'c' } });
  expect(shown()).toEqual([['a', 0]]);
});

test('while this process cannot reach the broker nobody is gone, and the page says why', async () => {
  watch.watch();
  answer('a');
  isConnected = false;
  for (let asks = 0; asks < 6; asks++) await round();
  expect(watch.told()).toMatchObject({ problem: 'Nobody could be asked: no connection', processes: [{ id: 'a' }] });
  isConnected = true;
  await round();
  expect((watch.told() as any).problem).toBeUndefined();
  for (let asks = 0; asks < 3; asks++) await round();
  expect(shown()).toEqual([]);
});

test('while the broker blocks its publishers one ask waits, nobody is gone, and a command is 504', async () => {
  watch.watch();
  answer('a');
  await clock.advance(0);
  isBlocked = true;
  for (let asks = 0; asks < 6; asks++) await round();
  expect(sent.map(({ kind }) => kind)).toEqual(['ask', 'ask']);
  expect(shown()).toEqual([['a', 0]]);
  const unanswered = expect(watch.command('a', 'pause', 'x', 'ada')).rejects.toMatchObject({ status: 504 });
  await clock.advance(5_000);
  await unanswered;
});

test('what was seen long ago is not shown until it answers again', async () => {
  watch.watch();
  answer('a');
  await clock.advance(60_000);
  watch.watch();
  expect(shown()).toEqual([]);
  answer('a');
  expect(shown()).toEqual([['a', 0]]);
});

test('there are 200 processes at most, and the page says that there are more', () => {
  watch.watch();
  for (let n = 0; n < 250; n++) answer(`process ${n}`);
  expect([shown().length, (watch.told() as any).more]).toEqual([200, true]);
});

test('a command that nobody answers is 504, one that cannot be sent 503, and neither is waited for any more', async () => {
  watch.watch();
  answer('a');
  const unanswered = expect(watch.command('a', 'pause', 'x', 'ada')).rejects.toMatchObject({ status: 504 });
  await clock.advance(5_000);
  await unanswered;
  expect(sent.at(-1)).toMatchObject({ kind: 'command', queue: 'queue of a', to: 'a', action: 'pause', name: 'x' });
  isConnected = false;
  await expect(watch.command('a', 'pause', 'x', 'ada')).rejects.toMatchObject({ status: 503 });
  isConnected = true;
  const many = Array.from({ length: 100 }, () => watch.command('a', 'pause', 'x', 'ada'));
  await expect(watch.command('a', 'pause', 'x', 'ada')).rejects.toMatchObject({ status: 503 });
  await clock.advance(0);
  for (const { kind, command } of sent) if (kind === 'command') hear({ kind: 'done', command, report: report('a') });
  expect(new Set(await Promise.all(many))).toEqual(new Set(['here:1']));
});

test('a seal remembers what came for as long as that could be taken for new, and no more than it has room for', () => {
  const [ours, theirs] = [new Seal('secret', clock), new Seal('secret', clock)];
  const first = theirs.close({ kind: 'ask' });
  expect(ours.open(first)).toMatchObject({ kind: 'ask' });
  expect(ours.open(first)).toBe('replayed');
  for (let n = 1; n < 10_000; n++) ours.open(theirs.close({ kind: 'ask' }));
  expect(ours.open(theirs.close({ kind: 'ask' }))).toBe('too many');
});

test('what a seal remembers is forgotten when it is too old to be taken anyway', async () => {
  const [ours, theirs] = [new Seal('secret', clock), new Seal('secret', clock)];
  const all = Array.from({ length: 10_000 }, () => theirs.close({ kind: 'ask' }));
  for (const body of all) ours.open(body);
  await clock.advance(30_001);
  expect(ours.open(all[0])).toBe('expired');
  expect(ours.open(theirs.close({ kind: 'ask' }))).toMatchObject({ kind: 'ask' });
});
