import { ConflictError } from '../web/refusal.js';
import { ArchiveIndex } from './archive-index.js';
import type { ResolvedDashboard } from './dashboard-options.js';
import { type HeldLetter, holdLetter } from './held-letter.js';
import type { ObservedMessaging } from './observed-messaging.js';

/** What was seen of a queue when somebody asked for it. */
export interface QueueLook {
  readonly queue: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly count: number;
  /** There are more than are shown. */
  readonly more: boolean;
}

const MOST_OF_A_QUEUE = 500;
const MOST_OF_PUBLISHER = 1_000;
const MOST_BODIES = 16 * 2 ** 20;
const REFRESH_MS = 1_000;

/** All dead letters that the dashboard knows: the archive, the publisher's own, and of queues what somebody looked into. */
export class Letters {
  /** Another one whenever the letters are. */
  version = 0;
  private own: readonly HeldLetter[] = [];
  private readonly looked = new Map<string, { readonly look: QueueLook; readonly letters: readonly HeldLetter[] }>();
  private readonly index: ArchiveIndex | undefined;
  private readonly secrets: boolean;
  private everything: readonly HeldLetter[] = [];
  private refreshing: Promise<void> | undefined;
  private refreshedAt = -Infinity;
  private looking = false;

  constructor(
    private readonly messaging: ObservedMessaging,
    private readonly options: ResolvedDashboard,
  ) {
    this.secrets = options.bodies.show === 'full';
    const { archiveStore } = messaging.deadLetters;
    this.index = archiveStore && new ArchiveIndex(archiveStore, messaging.environment.clock, this.secrets);
  }

  get archived(): { readonly total: number; readonly held: number } | undefined {
    return this.index && { total: this.index.total, held: this.index.letters.length };
  }

  get looks(): readonly QueueLook[] {
    return [...this.looked.values()].map(({ look }) => look);
  }

  get ageMs(): number {
    return Math.max(0, Math.round(this.messaging.environment.clock.monotonic() - this.refreshedAt));
  }

  /** Newest first; at most a second old, but for what was looked at in queues. */
  async all(force = false): Promise<readonly HeldLetter[]> {
    if (force || this.ageMs >= REFRESH_MS) {
      if (force) await this.refreshing;
      this.refreshing ??= this.refresh(force).finally(() => (this.refreshing = undefined));
      await this.refreshing;
    }
    return this.everything;
  }

  async find(key: string): Promise<HeldLetter | undefined> {
    const held = (await this.all()).find((one) => one.key === key);
    return held?.place === 'archive' ? this.index!.load(held) : held;
  }

  /** With its body, where that is not held. */
  async load(held: HeldLetter): Promise<HeldLetter | undefined> {
    return held.place === 'archive' ? this.index!.load(held) : held;
  }

  /** Reads a queue, one at a time. @throws ConflictError */
  async look(queue: string): Promise<QueueLook> {
    if (this.looking) throw new ConflictError('Somebody looks into a queue already: wait for the end of that');
    this.looking = true;
    try {
      const { deadLetters, environment } = this.messaging;
      const found = await deadLetters.list({ queue }, { limit: MOST_OF_A_QUEUE + 1 });
      let room = MOST_BODIES;
      const letters = found.slice(0, MOST_OF_A_QUEUE).map((letter) => {
        const body = letter.body.length <= Math.min(room, this.options.bodies.maxBytes);
        if (body) room -= letter.body.length;
        return holdLetter(letter, 'queue', { body, secrets: this.secrets });
      });
      const more = found.length > letters.length;
      const look = { queue, at: environment.clock.now(), count: letters.length, more };
      this.looked.set(queue, { look, letters });
      this.changed();
      return look;
    } finally {
      this.looking = false;
    }
  }

  /** These were redriven or deleted. */
  gone(held: readonly HeldLetter[]): void {
    const keys = new Set(held.map(({ key }) => key));
    this.index?.forget(keys);
    for (const [queue, { look, letters }] of this.looked) {
      const left = letters.filter(({ key }) => !keys.has(key));
      if (left.length < letters.length)
        this.looked.set(queue, { look: { ...look, count: left.length }, letters: left });
    }
    this.changed();
    this.refreshedAt = -Infinity;
  }

  /** What was seen of the queues of these may be no more. */
  uncertain(held: readonly HeldLetter[]): void {
    for (const { place, letter } of held) if (place === 'queue') this.looked.delete(letter.deadLetterQueue!);
    this.changed();
    this.refreshedAt = -Infinity;
  }

  private async refresh(force: boolean): Promise<void> {
    const { deadLetters, environment } = this.messaging;
    const own = deadLetters.ownLetters(MOST_OF_PUBLISHER);
    const held = own.map((letter) => {
      const body = letter.body.length <= this.options.bodies.maxBytes;
      return holdLetter(letter, 'publisher', { body, secrets: this.secrets });
    });
    const keysOf = (letters: readonly HeldLetter[]): string => letters.map(({ key }) => key).join();
    const ownChanged = keysOf(held) !== keysOf(this.own);
    if (ownChanged) this.own = held;
    const archiveChanged = (await this.index?.refresh(force)) === true;
    if (ownChanged || archiveChanged) this.changed();
    this.refreshedAt = environment.clock.monotonic();
  }

  private changed(): void {
    this.version++;
    const looked = [...this.looked.values()].flatMap(({ letters }) => letters);
    const all = [...this.own, ...looked, ...(this.index?.letters ?? [])];
    this.everything = all.sort((one, other) => (other.letter.time ?? 0) - (one.letter.time ?? 0));
  }
}
