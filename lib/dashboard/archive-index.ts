import type { Clock } from '../clock/clock.js';
import type { DeadLetterArchive } from '../dead-letter/dead-letter-archive.js';
import { readDeadLetter } from '../dead-letter/dead-letter.js';
import { type HeldLetter, holdLetter } from './held-letter.js';

/** So many of the newest are held; the others are counted. */
const MOST = 10_000;
const PAGE = 50;
/** Reading all again takes at most this part of the time. */
const PAUSE = 30;
const MIN_PAUSE_MS = 2_000;

/** What an archive holds, without the bodies: what is new is read, and all again where something has gone. */
export class ArchiveIndex {
  /** In the order of the archive. */
  private held: HeldLetter[] = [];
  private readUpTo = 0;
  private from = 0;
  private count = 0;
  private nextFullRead = 0;

  constructor(
    private readonly archive: DeadLetterArchive,
    private readonly clock: Clock,
    private readonly secrets: boolean,
  ) {}

  get letters(): readonly HeldLetter[] {
    return this.held;
  }

  /** How many there are, held or not. */
  get total(): number {
    return this.count;
  }

  /** @returns whether anything has changed */
  async refresh(force = false): Promise<boolean> {
    const { archive, clock } = this;
    const before = this.held.length;
    const totalBefore = this.count;
    let changed = await this.readNew();
    this.count = await archive.count();
    const there = await archive.count({}, this.from);
    if (there < this.held.length && (force || clock.monotonic() >= this.nextFullRead)) {
      await this.readAll();
      changed = true;
    }
    if (this.held.length > MOST) {
      this.from = this.held[this.held.length - MOST - 1].archived!.seq;
      this.held = this.held.slice(-MOST);
    }
    return changed || this.held.length !== before || this.count !== totalBefore;
  }

  /** Gone by our own doing. */
  forget(keys: ReadonlySet<string>): void {
    this.held = this.held.filter(({ key }) => !keys.has(key));
  }

  /** With its body, as it is now; undefined where it has gone. */
  async load({ archived, key }: HeldLetter): Promise<HeldLetter | undefined> {
    const [entry] = await this.archive.page({}, archived!.seq - 1, 1);
    if (!entry || entry.key !== archived!.key) return undefined;
    const loaded = holdLetter(readDeadLetter(entry.message, entry.deadLetterQueue), 'archive', {
      body: true,
      secrets: this.secrets,
      archived: archived!,
    });
    return loaded.key === key ? loaded : undefined;
  }

  private async readAll(): Promise<void> {
    const { clock } = this;
    const started = clock.monotonic();
    this.held = [];
    this.readUpTo = 0;
    await this.readNew();
    const now = clock.monotonic();
    this.nextFullRead = now + Math.max(MIN_PAUSE_MS, (now - started) * PAUSE);
  }

  private async readNew(): Promise<boolean> {
    const { archive, secrets } = this;
    if (this.readUpTo === 0) this.readUpTo = this.from = Math.max(0, (await archive.lastSeq()) - MOST);
    const added: HeldLetter[] = [];
    for (let full = true; full;) {
      const page = await archive.page({}, this.readUpTo, PAGE);
      for (const { seq, key, archivedAt, message, deadLetterQueue } of page) {
        this.readUpTo = seq;
        const archived = { seq, key, at: archivedAt };
        added.push(holdLetter(readDeadLetter(message, deadLetterQueue), 'archive', { body: false, secrets, archived }));
      }
      full = page.length === PAGE;
    }
    if (added.length > 0) this.held = this.held.concat(added);
    return added.length > 0;
  }
}
