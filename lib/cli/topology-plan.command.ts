import { writeFileSync } from 'node:fs';
import { printableJson } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import { hasDifferences } from '../topology/topology-plan.js';
import { APP_NOTES } from './application.js';
import { type Command, EXIT } from './command.js';
import { JSON_FLAG } from './dead-letters-flags.js';
import { textOf, UsageError } from './flags.js';
import { OPTION_NAMES, TOPOLOGY, withTopology } from './topology-application.js';
import { planText } from './topology-text.js';

/** As `terraform plan -detailed-exitcode` has it. */
const DIFFERENT = 2;

export const topologyPlanCommand: Command = {
  name: 'topology plan',
  what: 'Shows what an application would make on its broker, and makes nothing.',
  flags: [...TOPOLOGY, { name: 'out', value: 'file', what: 'keeps the plan for topology apply' }, JSON_FLAG],
  notes: `${APP_NOTES}\n\nExit codes: 0 nothing to do, 1 failed, or wrong usage, 2 there is something to do.`,
  usageCode: EXIT.failed,
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const plan = await withTopology(values, console, (app, entry, options) => entry.planTopology(app, options));
    const out = textOf(values, 'out');
    if (out !== undefined) write(out, `${JSON.stringify(plan, null, 2)}\n`);
    console.stdout.write(`${values.json ? printableJson(plan, 2) : planText(plan)}\n`);
    return hasDifferences(plan) ? DIFFERENT : EXIT.ok;
  },
};

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`--out cannot be written: ${errorMessage(error)}`);
  }
}
