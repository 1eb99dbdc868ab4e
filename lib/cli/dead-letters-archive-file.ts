import { systemClock } from '../clock/clock.js';
import { ArchiveSource } from '../dead-letter/archive-source.js';
import { ArchiveSearch, queryOf } from '../dead-letter/archive-search.js';
import { compileSelection } from '../dead-letter/dead-letter-selection.js';
import { Redrive } from '../dead-letter/redrive.js';
import { resolveRedrive } from '../dead-letter/redrive-options.js';
import type { SqlDeadLetterArchive } from '../dead-letter/sql-dead-letter-archive.js';
import { openArchiveFile } from '../dead-letter/sqlite-dead-letter-archive.js';
import type { Transport } from '../transport/transport.js';
import type { Console } from './command.js';
import { withBrokerToSend } from './broker.js';
import type { Access, PlaceWork } from './dead-letters-place.js';
import { eventsFor } from './dead-letters-queues.js';
import type { FlagValues } from './flags.js';

/** The file of an archive, which applications may be using. It is not made where it is missing. */
export function withArchive<T>(
  path: string,
  values: FlagValues,
  console: Console,
  access: Access,
  work: PlaceWork<T>,
): Promise<T> {
  return withOpened(path, (archive, letters) => {
    const on = (transport: Transport): Promise<T> =>
      work({
        name: 'the archive',
        count: () => letters.count(),
        list: (conditions, page) => letters.list(conditions, page),
        redrive: (conditions, options) => {
          const now = systemClock.now();
          const resolved = resolveRedrive(options);
          const matches = compileSelection(conditions, now);
          const source = new ArchiveSource({ archive, transport, clock: systemClock, query: queryOf(conditions, now) });
          const parts = { transport, clock: systemClock, events: eventsFor(console) };
          return new Redrive(parts, { sources: [source], matches }, resolved).run();
        },
        delete: (conditions) => letters.delete(conditions),
      });
    return withBrokerToSend(access, values, console, on);
  });
}

/** The applications send what is allowed, or do not any more. @returns how many it is said of */
export function allowRetry(
  path: string,
  selection: Parameters<ArchiveSearch['allowRetry']>[0],
  allow: boolean,
): Promise<number> {
  return withOpened(path, (_, letters) => letters.allowRetry(selection, allow));
}

async function withOpened<T>(
  path: string,
  work: (archive: SqlDeadLetterArchive, letters: ArchiveSearch) => Promise<T>,
): Promise<T> {
  const archive = await openArchiveFile(path, systemClock);
  try {
    return await work(archive, new ArchiveSearch(archive, systemClock, () => undefined));
  } finally {
    await archive.close();
  }
}
