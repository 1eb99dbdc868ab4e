import { RetryQueueDirectory } from '../publisher/retry-queue-directory.js';
import type { Transport } from '../transport/transport.js';
import type { Console } from './command.js';
import { withBrokerToSend } from './broker.js';
import type { Access, PlaceWork } from './dead-letters-place.js';
import { deadLettersOf } from './dead-letters-queues.js';
import { type FlagValues, textOf } from './flags.js';

/** A publisher's own dead letters on the disk. They are changed only while no application has the folder. */
export async function withRetryQueue<T>(
  path: string,
  values: FlagValues,
  console: Console,
  access: Access,
  work: PlaceWork<T>,
): Promise<T> {
  const directory = await RetryQueueDirectory.open(path, {
    own: access !== 'read',
    option: 'retryQueue.directory',
    destination: textOf(values, 'destination'),
  });
  const on = (transport: Transport): Promise<T> => {
    const letters = deadLettersOf(transport, directory, console);
    return work({
      name: 'the retry queue',
      count: () => letters.count(),
      list: (conditions, page) => letters.list(conditions, page),
      redrive: (conditions, options) => letters.redrive(conditions, options),
      delete: async (conditions) => (await letters.delete(conditions)).done,
    });
  };
  try {
    return await withBrokerToSend(access, values, console, on);
  } finally {
    directory.close();
  }
}
