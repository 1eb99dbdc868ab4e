import { purgeDeadLetters } from '../requeue/data-directory.js';
import { type Command, EXIT } from './command.js';
import { DATA_DIR, dataDirectory, QUEUE } from './data-directory-flags.js';
import { textOf } from './flags.js';

export const requeuePurgeCommand: Command = {
  name: 'requeue purge',
  what: 'Deletes dead letters for good; what waits stays. No service may be running.',
  flags: [DATA_DIR, QUEUE],
  notes: 'Exit code 3: a service is using the folder.',
  async run(values, { stdout }) {
    const purged = await purgeDeadLetters(dataDirectory(values), { queue: textOf(values, 'queue') });
    stdout.write(`${purged} dead letters are deleted\n`);
    return EXIT.ok;
  },
};
