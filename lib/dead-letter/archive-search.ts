import type { Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys } from '../errors/option-checks.js';
import type { ArchivedEntry, ArchiveQuery, DeadLetterArchive } from './dead-letter-archive.js';
import { type DeadLetter, readDeadLetter } from './dead-letter.js';
import {
  compileSelection,
  type DeadLetterConditions,
  type DeadLetterPage,
  hasCondition,
} from './dead-letter-selection.js';

/** Which archived dead letters are meant. All conditions must hold. */
export interface ArchiveSelection extends DeadLetterConditions {
  /** Dead-letter queues by their names. */
  readonly queue?: string | readonly string[];
}

export interface ArchivedDeadLetter extends DeadLetter {
  /** Milliseconds since the epoch. */
  readonly archivedAt: number;
  /** The message is sent back to its queue, soon. */
  readonly allowRetry: boolean;
}

type SelectionOrAll = ArchiveSelection & { readonly all?: true };

const PAGE = 100;

/** Searches the archive of dead letters, and says which of them may be tried again. Every method may reject. */
export class ArchiveSearch {
  /** @internal */
  constructor(
    private readonly archive: DeadLetterArchive,
    private readonly clock: Clock,
    private readonly onAllowed: () => void,
  ) {}

  /** What the search is in. @internal */
  get store(): DeadLetterArchive {
    return this.archive;
  }

  /** All dead letters in the archive. */
  count(): Promise<number> {
    return this.archive.count();
  }

  /** The selected dead letters in the order in which they came, a page at a time. @throws InvalidOptionError */
  async list(selection: ArchiveSelection = {}, page: DeadLetterPage = {}): Promise<ArchivedDeadLetter[]> {
    knownKeys('page', page, ['limit', 'offset']);
    const { limit = 100, offset = 0 } = page;
    integerBetween('limit', limit, 1, 100_000);
    integerBetween('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    const found: ArchivedDeadLetter[] = [];
    let before = 0;
    for await (const { letter } of this.find(selection)) {
      if (before++ < offset) continue;
      found.push(letter);
      if (found.length >= limit) break;
    }
    return found;
  }

  /**
   * The selected dead letters are sent back to their queues, within the interval of the archive, and leave it once
   * the broker has confirmed that; with `false` not any more. All of them with `{ all: true }`.
   * @returns how many they are. @throws InvalidOptionError
   */
  allowRetry(selection: SelectionOrAll, allow = true): Promise<number> {
    return this.change(selection, (keys) => this.archive.allowRetry(keys, allow)).finally(() => this.onAllowed());
  }

  /** Deletes the selected for good, except those being sent. All dead letters with `{ all: true }`. @returns how many. @throws InvalidOptionError */
  delete(selection: SelectionOrAll): Promise<number> {
    return this.change(selection, (keys) => this.archive.delete(keys));
  }

  private async change(selection: SelectionOrAll, apply: (keys: string[]) => Promise<number>): Promise<number> {
    const { all, ...conditions } = selection;
    if (!all && !hasCondition(conditions) && conditions.queue === undefined)
      throw new InvalidOptionError('selection', selection, 'at least one condition, or all: true');
    let changed = 0;
    let keys: string[] = [];
    for await (const { entry } of this.find(conditions)) {
      keys.push(entry.key);
      if (keys.length < PAGE) continue;
      changed += await apply(keys);
      keys = [];
    }
    return keys.length > 0 ? changed + (await apply(keys)) : changed;
  }

  private async *find(
    selection: ArchiveSelection,
  ): AsyncGenerator<{ readonly entry: ArchivedEntry; readonly letter: ArchivedDeadLetter }> {
    const now = this.clock.now();
    const matches = compileSelection(selection, now);
    if ('subscription' in selection)
      throw new InvalidOptionError(
        'selection.subscription',
        selection.subscription,
        'queue: an archive knows those only',
      );
    const query = queryOf(selection, now);
    let after = 0;
    for (;;) {
      const page = await this.archive.page(query, after, PAGE);
      for (const entry of page) {
        const { archivedAt, allowRetry, message, deadLetterQueue } = entry;
        const letter = { ...readDeadLetter(message, deadLetterQueue), archivedAt, allowRetry };
        if (matches(letter)) yield { entry, letter };
      }
      if (page.length < PAGE) return;
      after = page.at(-1)!.seq;
    }
  }
}

/** What of a selection the store itself can search by. */
export function queryOf({ ids, queue, reason, olderThan, newerThan }: ArchiveSelection, now: number): ArchiveQuery {
  const time = (age: number | Date): number => (age instanceof Date ? age.getTime() : now - age);
  return {
    ...(ids && { ids }),
    ...(queue !== undefined && { queues: typeof queue === 'string' ? [queue] : queue }),
    ...(reason !== undefined && { reason }),
    ...(olderThan !== undefined && { before: time(olderThan) }),
    ...(newerThan !== undefined && { after: time(newerThan) }),
  };
}
