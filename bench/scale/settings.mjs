import { parseArgs } from 'node:util';
import { wholeNumber } from '../settings.mjs';

export const partNames = ['processes', 'subscriptions', 'backlog'];

const options = {
  messages: { type: 'string', default: '1000000' },
  only: { type: 'string' },
  queue: { type: 'string', default: 'quorum' },
  json: { type: 'string' },
  rabbitmq: { type: 'string', default: '4.0.5' },
  package: { type: 'string' },
  help: { type: 'boolean', default: false },
};

export const usage = `npm run bench:scale -- [options]
  --messages <n>     length of the backlog (default 1,000,000; a tenth of it for the consumer processes)
  --only <part>      one of ${partNames.join(', ')}
  --queue <type>     quorum (default) or classic; the part «subscriptions» always has classic queues
  --json <file>      write every sample to a file
  --rabbitmq <v>     version of the private broker: 4.0.5 (default), 3.10.8 or 4.3; TEST_RABBITMQ_URL wins
  --package <dir>    measure the build in <dir>/dist instead of this one`;

/** What the command line asks for, with every default filled in. */
export function readScaleSettings(args) {
  const { values } = parseArgs({ args, options });
  if (values.only !== undefined && !partNames.includes(values.only)) {
    throw new Error(`--only takes ${partNames.join(', ')}`);
  }
  if (!['quorum', 'classic'].includes(values.queue)) throw new Error('--queue takes quorum or classic');
  return { ...values, messages: wholeNumber('messages', values.messages), settleMs: 300 };
}
