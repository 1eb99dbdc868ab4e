import { expect, test } from '@jest/globals';
import { seeded } from '../support/application.js';
import { failed, unroutable } from '../support/fake-transport.js';
import { GRACE, LEASE, type Process, TIMEOUT, World } from './support.js';

/** A quick look by default; `LONG_RUNS=1` is the whole of it. */
const SEEDS = process.env.LONG_RUNS ? 1_000 : 60;
const TRANSACTIONS = 6;

/** Kills a process before or after its step of this number: a call of the store, a step of a local transaction, a send. */
class Steps {
  taken = 0;

  constructor(
    readonly process: Process,
    private readonly last: number,
  ) {
    for (const method of ['prepare', 'commit', 'remove', 'find', 'note', 'adopt', 'beat', 'bury'] as const)
      process.around(method, (call) => this.around(call));
    const answer = process.transport.answer;
    process.transport.answer = (outgoing) => {
      this.take();
      const result = process.alive ? answer(outgoing) : undefined;
      this.take();
      return process.alive ? result : undefined;
    };
  }

  take(): void {
    if (++this.taken === this.last) this.process.kill();
  }

  private async around(call: () => unknown): Promise<unknown> {
    this.take();
    if (!this.process.alive) return new Promise(() => undefined);
    const result = await call();
    this.take();
    return this.process.alive ? result : new Promise(() => undefined);
  }
}

type Fate = 'commits' | 'commits and fails' | 'rolls back' | 'hangs';
const FATES: readonly Fate[] = ['commits', 'commits', 'commits and fails', 'rolls back', 'hangs'];

function transact(world: World, steps: Steps, id: string, fate: Fate, ids: Map<string, string>): void {
  const { process } = steps;
  const work = async (local: { id: string }): Promise<void> => {
    ids.set(local.id, id);
    steps.take();
    await Promise.resolve();
    if (!process.alive) return new Promise(() => undefined);
    if (fate === 'rolls back') throw new Error('rolled back');
    if (fate === 'hangs') return new Promise(() => undefined);
    world.committed.add(local.id);
    steps.take();
    if (!process.alive) return new Promise(() => undefined);
    if (fate === 'commits and fails') throw new Error('the answer was lost');
  };
  process.publisher.publishInTransaction('order.created', id, work, { id }).catch(() => undefined);
}

async function run(seed: number): Promise<{ killed: number; steps: number }> {
  const random = seeded(seed);
  const world = new World();
  const ids = new Map<string, string>();
  const truth = world.answer;
  world.answer = (transaction) => (random() < 0.2 ? 'unknown' : truth(transaction));
  let killed = 0;
  let steps = 0;
  for (let n = 0; n < 3; n++) {
    const process = await world.process({ checks: 1_000 });
    const { answer } = process.transport;
    process.transport.answer = (outgoing) => {
      const luck = random();
      if (luck < 0.15) return luck < 0.1 ? failed() : unroutable();
      return answer(outgoing);
    };
    const taken = new Steps(process, 1 + Math.floor(random() * 60));
    for (let t = 0; t < TRANSACTIONS; t++)
      transact(world, taken, `${n}-${t}`, FATES[Math.floor(random() * FATES.length)], ids);
    await world.pass(Math.floor(random() * 3) * (LEASE + TIMEOUT));
    if (process.alive && random() < 0.5) process.kill();
    if (!process.alive) killed++;
    steps += taken.taken;
  }
  const last = await world.process({ checks: 1_000 });
  for (const process of world.processes) if (process !== last) process.kill();
  for (let waits = 0; waits < 200 && (await last.states()).length > 0; waits++)
    await world.pass(LEASE + TIMEOUT + GRACE);
  expect({ seed, left: await last.states() }).toEqual({ seed, left: [] });
  const committed = [...world.committed].map((id) => ids.get(id)!).sort();
  expect({ seed, arrived: [...world.arrived].sort() }).toEqual({ seed, arrived: committed });
  return { killed, steps };
}

test(`${SEEDS} times three processes, killed at any step: what has committed arrives, and nothing else`, async () => {
  let killed = 0;
  for (let seed = 1; seed <= SEEDS; seed++) killed += (await run(seed)).killed;
  expect(killed).toBeGreaterThan(SEEDS);
}, 600_000);
