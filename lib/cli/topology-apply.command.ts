import { readFileSync } from 'node:fs';
import { printableJson } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import type { SavedTopologyPlan } from '../topology/topology-plan.js';
import { APP_NOTES } from './application.js';
import { type Command, EXIT } from './command.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { textOf, UsageError } from './flags.js';
import { OPTION_NAMES, TOPOLOGY, withTopology } from './topology-application.js';
import { entryText } from './topology-text.js';

export const topologyApplyCommand: Command = {
  name: 'topology apply',
  what: 'Makes on the broker what topology plan shows, or what a kept plan has, and nothing else.',
  flags: [
    ...TOPOLOGY,
    { name: 'plan', value: 'file', what: 'of topology plan --out: refused where anything has changed since' },
    JSON_FLAG,
  ],
  notes: `${APP_NOTES}\n\nExit codes: 0 made, or nothing to do, 1 failed or refused, 2 wrong usage.`,
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const { stdout } = console;
    const saved = savedPlan(textOf(values, 'plan'));
    let count = 0;
    const onApplied = (entry: Parameters<typeof entryText>[0]): void => {
      count++;
      if (!values.json) stdout.write(`${entryText(entry)}\n`);
    };
    const plan = await withTopology(values, console, (app, entry, options) =>
      entry.applyTopology(app, saved, { ...options, onApplied }),
    );
    stdout.write(values.json ? `${printableJson(plan, 2)}\n` : count === 0 ? 'Nothing to do\n' : `${count} done\n`);
    return EXIT.ok;
  },
};

function savedPlan(file: string | undefined): SavedTopologyPlan | undefined {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as SavedTopologyPlan;
  } catch (error) {
    throw new UsageError(`--plan cannot be read as JSON: ${errorMessage(error).split('\n')[0]}`);
  }
}
