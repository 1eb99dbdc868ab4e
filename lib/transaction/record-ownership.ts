import type { Clock } from '../clock/clock.js';
import type { RecordOwner, TransactionRecord, TransactionRecordStore } from './transaction-record.js';

/** Records that are taken at a time. */
const ADOPTED_TOGETHER = 100;
/** Where a whole machine stood still, time has passed for everybody, but nobody could beat. */
const LOOKS = 3;

export interface Adopting {
  /** How many more this process may have. */
  readonly room: () => number;
  /** This process sees to the record already. */
  readonly isKnown: (id: string) => boolean;
  readonly adopted: (record: TransactionRecord) => void;
}

interface Sighting {
  readonly beats: number;
  /** When so many beats were seen first, by this process's own steady clock. */
  readonly since: number;
  /** How often they were looked at since. */
  looks: number;
}

/**
 * Which processes live, as this one sees it: one whose beats have not grown for a lease, measured here, is dead, and its
 * records are taken over. No time of day is compared, so no clock can be wrong.
 */
export class RecordOwnership {
  private readonly seen = new Map<string, Sighting>();
  /** An answer was lost: there may be records of this process that it has not heard of. */
  private isUnsure = false;

  constructor(
    private readonly store: TransactionRecordStore,
    private readonly owner: string,
    private readonly leaseMs: number,
    private readonly clock: Clock,
  ) {}

  /** Ends those that are dead. */
  async observe(): Promise<void> {
    const now = this.clock.monotonic();
    const owners = (await this.store.owners()).filter(({ owner }) => owner !== this.owner);
    const there = new Set(owners.map(({ owner }) => owner));
    for (const owner of this.seen.keys()) if (!there.has(owner)) this.seen.delete(owner);
    for (const owner of owners) if (this.isDead(owner, now)) await this.store.bury(owner);
  }

  /** Takes what nobody has, as much as there is room for; and what is this process's own and not known to it. */
  async adopt(routes: readonly string[], { room, isKnown, adopted }: Adopting): Promise<void> {
    if (this.isUnsure) await this.reclaim({ room, isKnown, adopted });
    for (let more = true; more && room() > 0;) {
      const limit = Math.min(ADOPTED_TOGETHER, room());
      this.isUnsure = true;
      const records = await this.store.adopt(this.owner, routes, limit);
      this.isUnsure = false;
      for (const record of records) adopted(record);
      more = records.length === limit;
    }
  }

  private async reclaim({ room, isKnown, adopted }: Adopting): Promise<void> {
    for (let after = 0, more = true; more;) {
      const records = await this.store.page(undefined, after, ADOPTED_TOGETHER);
      for (const record of records) {
        if (record.owner !== this.owner || record.state === 'parked' || isKnown(record.id)) continue;
        if (room() <= 0) return;
        adopted(record);
      }
      after = records.at(-1)?.seq ?? after;
      more = records.length === ADOPTED_TOGETHER;
    }
    this.isUnsure = false;
  }

  private isDead({ owner, beats }: RecordOwner, now: number): boolean {
    const last = this.seen.get(owner);
    if (last?.beats === beats) return ++last.looks >= LOOKS && now - last.since >= this.leaseMs;
    this.seen.set(owner, { beats, since: now, looks: 0 });
    return false;
  }
}
