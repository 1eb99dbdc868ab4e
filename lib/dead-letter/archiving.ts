import { InvalidOptionError } from '../errors/configuration-errors.js';
import { ArchiveSearch } from './archive-search.js';
import type { DeadLetterArchive, DeadLetterArchiveFactory } from './dead-letter-archive.js';
import { type ArchiverParts, DeadLetterCollector } from './dead-letter-collector.js';

/** The archive of one connection, and what fills and empties it. */
export class Archiving {
  readonly letters: ArchiveSearch;
  private readonly archive: DeadLetterArchive;
  private readonly archiver: DeadLetterCollector;

  private constructor(factory: DeadLetterArchiveFactory, intervalMs: number, parts: Omit<ArchiverParts, 'archive'>) {
    this.archive = factory.create({ clock: parts.clock });
    this.archiver = new DeadLetterCollector({ ...parts, archive: this.archive }, intervalMs);
    this.letters = new ArchiveSearch(this.archive, parts.clock, () => this.archiver.soon());
  }

  /** Undefined without an archive. @throws InvalidOptionError */
  static of(
    { archive, interval }: { readonly archive?: DeadLetterArchiveFactory; readonly interval: number },
    parts: Omit<ArchiverParts, 'archive'>,
  ): Archiving | undefined {
    if (!archive) return undefined;
    if (parts.transport.capabilities.durable && !archive.durable)
      throw new InvalidOptionError(
        'deadLetters.archive',
        `in ${archive.kind}`,
        'sqliteDeadLetterArchive({ file }) or another that survives the process, as the broker does that the dead letters are taken from',
      );
    return new Archiving(archive, interval, parts);
  }

  /** @throws what makes the archive impossible to use */
  async open(): Promise<void> {
    await this.archive.open?.();
  }

  start(): void {
    this.archiver.start();
  }

  /** Resolves when nothing is under way any more. */
  stop(): Promise<void> {
    return this.archiver.stop();
  }

  close(): Promise<void> {
    return this.archive.close();
  }
}
