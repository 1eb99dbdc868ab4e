import { systemClock } from '../clock/clock.js';
import { retryDeadLetters } from '../requeue/data-directory.js';
import { type Command, EXIT } from './command.js';
import { DATA_DIR, dataDirectory, QUEUE } from './data-directory-flags.js';
import { textOf } from './flags.js';

export const requeueRetryCommand: Command = {
  name: 'requeue retry',
  what: 'Puts dead letters back into their queues, as if they had just been accepted. No service may be running.',
  flags: [DATA_DIR, QUEUE],
  notes: 'Messages that were refused are left as they are. Exit code 3: a service is using the folder.',
  async run(values, { stdout }) {
    const queue = textOf(values, 'queue');
    const { retried, left } = await retryDeadLetters(dataDirectory(values), systemClock.now(), { queue });
    stdout.write(
      `${retried} dead letters are in their queues again${left > 0 ? `, ${left} cannot be sent and are left` : ''}\n`,
    );
    return EXIT.ok;
  },
};
