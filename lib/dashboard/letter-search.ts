import { sleep } from '../clock/sleep.js';
import type { BodyViews } from './body-view.js';
import { fingerprintOf, type HeldLetter } from './held-letter.js';
import { groupLetters, type LetterGroup, queueOf } from './letter-groups.js';
import { parseFilter } from './letter-filter.js';
import type { Letters } from './letters.js';
import type { ObservedMessaging } from './observed-messaging.js';

/** What a filter finds; made once for all who ask the same. */
export class FoundLetters {
  private told: { readonly fingerprint: string } | undefined;
  private grouped: readonly LetterGroup[] | undefined;
  private counted: FoundLetters['queues'] | undefined;

  constructor(
    readonly letters: readonly HeldLetter[],
    private readonly now: number,
  ) {}

  get fingerprint(): string {
    return (this.told ??= { fingerprint: fingerprintOf(this.letters) }).fingerprint;
  }

  /** How many are in each queue. */
  get queues(): readonly { readonly queue: string; readonly count: number }[] {
    return (this.counted ??= countByQueue(this.letters));
  }

  get groups(): readonly LetterGroup[] {
    return (this.grouped ??= groupLetters(this.letters, this.now));
  }
}

function countByQueue(letters: readonly HeldLetter[]): FoundLetters['queues'] {
  const counts = new Map<string, number>();
  for (const queue of letters.map(queueOf)) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  return [...counts].map(([queue, count]) => ({ queue, count }));
}

const MOST_KEPT = 20;
/** Bodies that are read before others have their turn. */
const TOGETHER = 50;
const AGES = /\b(newer|older):/;

/** Finds dead letters by filters. */
export class LetterSearch {
  private readonly kept = new Map<string, FoundLetters>();
  private version = -1;

  constructor(
    private readonly messaging: ObservedMessaging,
    private readonly letters: Letters,
    private readonly bodies: BodyViews,
  ) {}

  /** The newest first. `fresh`: as they are now. @throws InvalidOptionError */
  async find(filter: string, mayRead: boolean, fresh = false): Promise<FoundLetters> {
    const { clock } = this.messaging.environment;
    const all = await this.letters.all(fresh);
    if (this.version !== this.letters.version) this.kept.clear();
    this.version = this.letters.version;
    const name = `${mayRead} ${filter}`;
    const before = AGES.test(filter) ? undefined : this.kept.get(name);
    if (before) return before;
    const now = clock.now();
    const { matches, matchesBody } = parseFilter(filter, { now, bodies: this.bodies, mayRead });
    const candidates = filter === '' ? all : all.filter(matches);
    const found = new FoundLetters(matchesBody ? await this.byBody(candidates, matchesBody) : candidates, now);
    if (this.version === this.letters.version) {
      if (this.kept.size >= MOST_KEPT) this.kept.delete(this.kept.keys().next().value!);
      this.kept.set(name, found);
    }
    return found;
  }

  private async byBody(
    candidates: readonly HeldLetter[],
    matches: NonNullable<ReturnType<typeof parseFilter>['matchesBody']>,
  ): Promise<HeldLetter[]> {
    const found: HeldLetter[] = [];
    for (const [at, held] of candidates.entries()) {
      if (at % TOGETHER === TOGETHER - 1) await sleep(this.messaging.environment.clock, 0);
      const loaded = await this.letters.load(held);
      if (loaded && matches(loaded.letter)) found.push(held);
    }
    return found;
  }
}
