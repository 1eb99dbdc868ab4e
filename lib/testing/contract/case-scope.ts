import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import { nextTurn } from '../../clock/turn.js';
import type { Topology } from '../../transport/topology.js';
import type { HarnessEnvironment, TransportHarness } from '../transport-harness.js';
import { WakeUp } from './wake-up.js';

const DEFAULT_PATIENCE_MS = 15_000;
/** How far virtual time moves between two looks at a condition. */
const VIRTUAL_STEP_MS = 10;
/** The longest time between two looks at a condition that signals nothing itself (the depth of a queue). */
const POLL_MS = 20;

/** What belongs to one case: names, waiting on signals, and what went wrong on the way. */
export class CaseScope {
  /** First word of every route and queue name of this case. */
  readonly id = `c${randomBytes(5).toString('hex')}`;
  readonly environment: HarnessEnvironment;
  /** Fired by everything that happens. */
  readonly signal = new WakeUp();
  protected readonly topologies = new Map<string, Topology>();
  protected readonly violations = new Set<string>();

  constructor(readonly harness: TransportHarness) {
    this.environment = harness.environment();
  }

  get now(): number {
    return this.environment.clock.now();
  }

  /** With a dot in it, as names that are made of routes have. */
  queue(name: string): string {
    return `${this.id}:case.${name}:queue`;
  }

  route(...words: string[]): string {
    return [this.id, ...words].join('.');
  }

  /** A queue of this case with its bindings, and a dead-letter queue unless told otherwise. */
  topology(name: string, patterns: readonly string[] = [], more: Partial<Topology> = {}): Topology {
    const deadLetter = `${this.id}:case.${name}:dlq`;
    return {
      queue: this.queue(name),
      patterns,
      deadLetter: { queue: deadLetter, route: deadLetter },
      provision: true,
      ...more,
    };
  }

  /** The dead-letter queue of a topology, as something to consume. */
  deadLetters(of: Topology): Topology {
    return { queue: of.deadLetter?.queue ?? '', patterns: [], provision: true };
  }

  /** Waits, as long as there is reason to hope, until the condition holds. */
  async eventually(
    condition: () => boolean | Promise<boolean>,
    what: string | (() => string),
    within = this.harness.patienceMs ?? DEFAULT_PATIENCE_MS,
  ): Promise<void> {
    const { clock } = this.environment;
    const deadline = clock.monotonic() + within;
    for (;;) {
      const fired = this.signal.next();
      if (await condition()) return;
      if (clock.monotonic() >= deadline) {
        assert.fail(`Not within ${within} ms: ${typeof what === 'string' ? what : what()}`);
      }
      await this.tick(fired);
    }
  }

  /** The result of a promise, with a deadline; virtual time moves on meanwhile. */
  async settled<T>(promise: Promise<T>, what: string, within?: number): Promise<T> {
    let done = false;
    const finish = (): void => {
      done = true;
      this.signal.fire();
    };
    promise.then(finish, finish);
    await this.eventually(() => done, `${what} settles`, within);
    return promise;
  }

  /** Lets time pass: only for proving that something does *not* happen in it. */
  async pass(ms: number): Promise<void> {
    const until = this.environment.clock.monotonic() + ms;
    while (this.environment.clock.monotonic() < until) await this.tick(this.signal.next());
  }

  /** Notes that a promise was broken which every case relies on. */
  violation(what: string): void {
    this.violations.add(what);
  }

  /** Notes what has to be cleaned up. */
  declared(topology: Topology): void {
    this.topologies.set(topology.queue, topology);
  }

  private async tick(fired: Promise<void>): Promise<void> {
    if (this.harness.elapse) return this.harness.elapse(VIRTUAL_STEP_MS);
    const given = new AbortController();
    await Promise.race([fired, sleep(systemClock, POLL_MS, given.signal)]);
    given.abort();
    // A condition that itself wakes whoever waits would keep everything out that the event loop brings.
    await new Promise<void>(nextTurn);
  }
}
