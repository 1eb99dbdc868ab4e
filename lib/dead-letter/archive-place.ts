import { randomUUID } from 'node:crypto';
import { turned } from '../clock/turn.js';
import { type ArchivedEntry, type ArchiveQuery, type DeadLetterArchive } from './dead-letter-archive.js';
import { readDeadLetter } from './dead-letter.js';
import type { DeadLetterPlace, Expiring, ExpiryCause } from './dead-letter-place.js';

const PAGE = 25;
const LEASE_MS = 10_000;

/** An archive. What may be tried again, or is being sent, is left. */
export class ArchivePlace implements DeadLetterPlace {
  readonly name = 'the archive';

  constructor(private readonly archive: DeadLetterArchive) {}

  count(): Promise<number> {
    return this.archive.count();
  }

  async oldest(before: number): Promise<number | undefined> {
    let oldest: number | undefined;
    const page = await this.archive.page({ before }, 0, PAGE);
    for (const { message, deadLetterQueue } of page)
      oldest = Math.min(oldest ?? Infinity, readDeadLetter(message, deadLetterQueue).time!);
    return oldest;
  }

  async expire(expiring: Expiring): Promise<void> {
    const { before, maxCount } = expiring;
    if (before > -Infinity) await this.each({ before }, expiring, 'maxAge', (page) => page);
    if ((await this.archive.count()) > maxCount)
      await this.each({}, expiring, 'maxCount', async (page) => {
        // Whoever else deletes at the same time: what has so many behind it may go.
        const behind = await this.archive.count({}, page.at(-1)!.seq);
        const most = page.length + behind - maxCount;
        return most > 0 ? page.slice(0, most) : undefined;
      });
  }

  /** Page by page, until there is nothing left to be chosen. */
  private async each(
    query: ArchiveQuery,
    expiring: Expiring,
    cause: ExpiryCause,
    choose: (page: ArchivedEntry[]) => ArchivedEntry[] | undefined | Promise<ArchivedEntry[] | undefined>,
  ): Promise<void> {
    for (let after = 0; !expiring.isStopped();) {
      const page = await this.archive.page(query, after, PAGE);
      const chosen = page.length > 0 ? await choose(page) : undefined;
      if (!chosen) return;
      after = page.at(-1)!.seq;
      await this.delete(
        chosen.filter(({ allowRetry }) => !allowRetry),
        expiring,
        cause,
      );
      if (chosen.length < page.length || page.length < PAGE) return;
      await turned();
    }
  }

  /** Claimed first: what another process sends or deletes at this moment is its own. */
  private async delete(entries: readonly ArchivedEntry[], expiring: Expiring, cause: ExpiryCause): Promise<void> {
    if (entries.length === 0) return;
    const token = randomUUID();
    const keys = new Set(
      await this.archive.claim(
        entries.map(({ key }) => key),
        token,
        LEASE_MS,
      ),
    );
    if ((await this.archive.delete([...keys], token)) === 0) return;
    for (const { key, message, deadLetterQueue } of entries)
      if (keys.has(key)) expiring.deleted(readDeadLetter(message, deadLetterQueue), cause);
  }
}
