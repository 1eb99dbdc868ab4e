import { parseArgs } from 'node:util';
import { sideNames } from './sides.mjs';

const options = {
  quick: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  only: { type: 'string' },
  sides: { type: 'string' },
  json: { type: 'string' },
  rabbitmq: { type: 'string', default: '4.0.5' },
  nats: { type: 'string', default: '2.10.27' },
  package: { type: 'string' },
  profile: { type: 'string' },
  help: { type: 'boolean', default: false },
};

export const usage = `npm run bench -- [options]
  --quick            3 short rounds of each row: shows that everything runs, its figures mean little
  --rounds <n>       rounds of each row (default 10)
  --only <text>      only the rows whose name contains the text, such as "publish", "quorum", "nats", "instant" or "cost"
  --sides <names>    only these sides, such as raw,ours; of ${sideNames.join(', ')}
  --json <file>      write every sample and the summary to a file
  --rabbitmq <v>     version of the private broker: 4.0.5 (default), 3.10.8 or 4.3; TEST_RABBITMQ_URL wins
  --nats <v>         version of the private server: 2.10.27 (default), 2.9.10 or 2.15; TEST_NATS_URL wins
  --package <dir>    measure the build in <dir>/dist instead of this one
  --profile <dir>    write a CPU profile of every measured round to a folder`;

/** What the command line asks for, with every default filled in. */
export function readSettings(args) {
  const { values } = parseArgs({ args, options });
  const { quick } = values;
  return {
    ...values,
    rounds: wholeNumber('rounds', values.rounds ?? (quick ? 3 : 10)),
    sides: values.sides === undefined ? undefined : readSides(values.sides),
    /** How long one round of one side lasts, about. */
    roundMs: quick ? 150 : 400,
    /** The broker writes on after a queue was filled or purged: whoever came next at once would pay for that. */
    settleMs: quick ? 100 : 300,
    /** What a side does before it is measured for the first time, so that its code is compiled. */
    warmUpMs: quick ? 250 : 1_200,
  };
}

export function wholeNumber(name, value) {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} takes a whole number, 1 or more`);
  return number;
}

function readSides(text) {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !sideNames.includes(name));
  if (unknown !== undefined) throw new Error(`--sides takes ${sideNames.join(', ')}, not «${unknown}»`);
  return names;
}
