import { randomUUID } from 'node:crypto';
import {
  type RedriveOptions,
  type RedriveProgress,
  type RedriveResult,
  resolveRedrive,
} from '../dead-letter/redrive-options.js';
import { RedriveInterruptedError } from '../dead-letter/redrive-interrupted-error.js';
import { errorMessage } from '../errors/redact.js';
import type { Activity } from './activity.js';
import { type HeldLetter, letterKey } from './held-letter.js';
import { queueOf } from './letter-groups.js';
import type { Letters } from './letters.js';
import type { ObservedMessaging } from './observed-messaging.js';
import { ConflictError, Refusal } from '../web/refusal.js';

/** How somebody wants it done; milliseconds. */
export type RunOptions = Pick<RedriveOptions, 'dryRun' | 'limit' | 'rateLimit' | 'canary' | 'maxFailureRate'>;

/** A redrive that was begun here. It goes on while nobody looks, and ends with the process. */
export interface RedriveRun {
  readonly id: string;
  readonly filter: string;
  readonly count: number;
  readonly queues: readonly string[];
  readonly options: RunOptions;
  readonly startedBy: string;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly state: 'running' | 'stopping' | 'ended' | 'failed';
  readonly progress?: RedriveProgress;
  readonly result?: ReturnType<typeof toldResult>;
  readonly error?: string;
}

const MOST_RUNS = 50;
const MOST_FAILURES = 50;
/** An archive searches itself by so few ids. */
const MOST_IDS = 100;

type Change = { -readonly [K in keyof RedriveRun]?: RedriveRun[K] };

export class Redrives {
  private readonly runs = new Map<string, RedriveRun>();
  private readonly stops = new Map<string, AbortController>();

  constructor(
    private readonly messaging: ObservedMessaging,
    private readonly letters: Letters,
    private readonly activity: Activity,
  ) {}

  /** The newest first. */
  get all(): readonly RedriveRun[] {
    return [...this.runs.values()].reverse();
  }

  /** Sends exactly these. @throws ConflictError where one of their queues has a redrive already; InvalidOptionError */
  start(held: readonly HeldLetter[], filter: string, options: RunOptions, operator: string): RedriveRun {
    resolveRedrive(options);
    const queues = [...new Set(held.map(queueOf))];
    const other = this.all.find((run) => this.stops.has(run.id) && run.queues.some((queue) => queues.includes(queue)));
    if (other) throw new ConflictError(`A redrive of «${other.queues.join(', ')}» is running: one at a time`);
    const id = randomUUID();
    const startedAt = this.messaging.environment.clock.now();
    const told = { filter, count: held.length, queues, options, startedBy: operator, startedAt };
    const run: RedriveRun = { id, ...told, state: 'running' };
    const stop = new AbortController();
    const running = this.messaging.deadLetters.redriveFrom(placesOf(held), selected(held), {
      ...options,
      signal: stop.signal,
      onProgress: (progress) => this.change(id, { progress }),
    });
    this.runs.set(id, run);
    this.stops.set(id, stop);
    this.forgetOld();
    void running.then(
      (result) => this.ended(run, held, result),
      (error: unknown) => this.failed(run, held, error),
    );
    return run;
  }

  /** @throws Refusal where there is none */
  stop(id: string): RedriveRun {
    const run = this.runs.get(id);
    if (!run) throw new Refusal(404, 'There is no such redrive in this process');
    const stop = this.stops.get(id);
    if (stop && run.state === 'running') {
      this.change(id, { state: 'stopping' });
      stop.abort();
    }
    return this.runs.get(id)!;
  }

  stopAll(): void {
    for (const id of this.stops.keys()) this.stop(id);
  }

  private ended(run: RedriveRun, held: readonly HeldLetter[], result: RedriveResult): void {
    this.finish(run, { state: 'ended', result: toldResult(result) });
    const { done, failed, stopped, matched } = result;
    if (!run.options.dryRun) {
      if (done === held.length) this.letters.gone(held);
      else this.letters.uncertain(held);
    }
    const what = run.options.dryRun ? `dry run: ${matched} match` : `${done} redriven, ${failed.length} failed`;
    this.activity.add(run.startedBy, 'redrive', run.filter, `${what}${stopped ? `, stopped: ${stopped}` : ''}`);
  }

  private failed(run: RedriveRun, held: readonly HeldLetter[], error: unknown): void {
    const result = error instanceof RedriveInterruptedError ? { result: toldResult(error.result) } : {};
    this.finish(run, { state: 'failed', error: errorMessage(error), ...result });
    this.letters.uncertain(held);
    this.activity.add(run.startedBy, 'redrive', run.filter, `failed: ${errorMessage(error)}`);
  }

  private finish({ id }: RedriveRun, change: Change): void {
    this.stops.delete(id);
    this.change(id, { ...change, endedAt: this.messaging.environment.clock.now() });
  }

  private change(id: string, change: Change): void {
    const run = this.runs.get(id);
    if (run) this.runs.set(id, { ...run, ...change });
  }

  private forgetOld(): void {
    for (const id of this.runs.keys()) {
      if (this.runs.size <= MOST_RUNS) return;
      if (!this.stops.has(id)) this.runs.delete(id);
    }
  }
}

/** Deletes exactly these. @returns how many */
export async function deleteLetters(messaging: ObservedMessaging, held: readonly HeldLetter[]): Promise<number> {
  const { deadLetters } = messaging;
  const { queues, publisher } = placesOf(held);
  const done = await deadLetters.deleteFrom({ queues, publisher }, selected(held));
  const keys = held.flatMap(({ archived }) => archived?.key ?? []);
  return keys.length === 0 ? done : done + (await deadLetters.archiveStore!.delete(keys));
}

function placesOf(held: readonly HeldLetter[]): Parameters<ObservedMessaging['deadLetters']['redriveFrom']>[0] {
  const of = (place: HeldLetter['place']): readonly HeldLetter[] => held.filter((one) => one.place === place);
  const archived = of('archive');
  const ids = archived.map(({ letter }) => letter.id);
  return {
    queues: new Set(of('queue').map(queueOf)),
    publisher: of('publisher').length > 0,
    ...(archived.length > 0 && { archive: ids.length <= MOST_IDS ? { ids } : {} }),
  };
}

function selected(held: readonly HeldLetter[]): Parameters<ObservedMessaging['deadLetters']['redriveFrom']>[1] {
  const keys = new Set(held.map(({ key }) => key));
  return (letter) => keys.has(letterKey(letter));
}

function toldResult({ failed, canaries, ...result }: RedriveResult) {
  const reasons = failed.slice(0, MOST_FAILURES).map(({ id, error }) => ({ id, error: errorMessage(error) }));
  return { ...result, failed: failed.length, failures: reasons, ...(canaries && { canaries }) };
}
