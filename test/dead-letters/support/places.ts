import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskRetryQueue, sqliteDeadLetterArchive, systemClock } from 'nestjs-messaging';
import { archiveEntry } from '../../../lib/dead-letter/dead-letter-collector.js';
import type { Headers } from '../../../lib/message/headers.js';
import type { RetryQueueStore, StoredMessage } from '../../../lib/publisher/retry-queue-store.js';
import { StoreBed } from '../../../lib/testing/store/store-bed.js';
import { bodyOf, deadLetterMessage, DLQ } from './broker-client.js';

/** Archives and retry queues in a folder of their own. */
export class Places {
  readonly folder = mkdtempSync(join(tmpdir(), 'dead-letters-'));
  private readonly stores: RetryQueueStore[] = [];
  private number = 0;

  /** A path that nothing has yet. */
  newPath(): string {
    return join(this.folder, String(++this.number));
  }

  /** The file of an archive that holds these. */
  async archive(ids: readonly string[], headersOf: (id: string) => Headers = () => ({})): Promise<string> {
    const file = this.newPath();
    const archive = sqliteDeadLetterArchive({ file }).create({ clock: systemClock });
    await archive.add(ids.map((id) => archiveEntry(DLQ, deadLetterMessage(id, headersOf(id)))));
    await archive.close();
    return file;
  }

  /** The folder of a retry queue that gave these up, and in which one more waits; with `inUse` its application lives. */
  async retryQueue(ids: readonly string[], inUse = false): Promise<string> {
    const directory = this.newPath();
    const bed = new StoreBed(diskRetryQueue({ directory }));
    await bed.store.open();
    const keep = (id: string): Promise<StoredMessage> => {
      const headers = { tenant: id === 'm1' ? 'eve' : 'ada' };
      const properties = { contentType: 'application/json' };
      const message = { id, route: 'order.paid', body: bodyOf(id), headers, properties };
      return bed.append(id, { message, to: { kind: 'route', route: 'order.paid' }, attempts: 3 });
    };
    const [, ...lost] = await Promise.all(['waiting', ...ids].map(keep));
    const error = { name: 'MessageTooLargeError', code: 'MESSAGE_TOO_LARGE', message: 'too large' };
    for (const one of lost) bed.store.bury(one, { reason: 'unsendable', error, time: Date.now() });
    bed.store.flush();
    if (inUse) this.stores.push(bed.store);
    else bed.store.close();
    return directory;
  }

  /** The ids that wait in a retry queue, and those that it gave up, as the next application finds them. */
  async found(directory: string): Promise<{ readonly waiting: string[]; readonly dead: string[] }> {
    const bed = new StoreBed(diskRetryQueue({ directory }));
    await bed.store.open();
    const dead = bed.store.deadLetters.after(0, 10_000).map(({ message }) => message.id);
    const waiting = bed.ready();
    bed.store.close();
    return { waiting, dead };
  }

  close(): void {
    for (const store of this.stores) store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
