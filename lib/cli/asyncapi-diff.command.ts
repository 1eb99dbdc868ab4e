import { readFileSync } from 'node:fs';
import { checkAccepted, withAccepted } from '../asyncapi/accepted-breaks.js';
import { compareDocuments, type DocumentChange } from '../asyncapi/document-comparison.js';
import { printable } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import { FORMATS } from './asyncapi-diff-formats.js';
import { type Command, EXIT } from './command.js';
import { type FlagValues, textOf, UsageError } from './flags.js';

const FAIL_ON = ['breaking', 'any', 'never'];

export const asyncApiDiffCommand: Command = {
  name: 'asyncapi diff',
  what: 'Says which changes of an AsyncAPI document break consumers, or the messages that wait.',
  flags: [
    { name: 'from', value: 'file', what: 'the old document, in JSON; required' },
    { name: 'to', value: 'file', what: 'the new one; required' },
    { name: 'fail-on', value: 'what', default: 'breaking', what: 'exit with 1 for: breaking, any, never' },
    { name: 'strict', what: 'what cannot be judged counts as breaking' },
    { name: 'accepted', value: 'file', what: 'changes that were agreed upon: [{ "change", "reason", "date" }]' },
    { name: 'format', value: 'name', default: 'text', what: Object.keys(FORMATS).join(', ') },
  ],
  notes: 'Exit codes: 0 nothing to fail on, 1 there is, or failed, 2 wrong usage.',
  async run(values, { stdout, stderr, version = '0.0.0' }) {
    const format = FORMATS[oneOf(values, 'format', 'text', Object.keys(FORMATS))];
    const failOn = oneOf(values, 'fail-on', 'breaking', FAIL_ON);
    const [from, to] = [document(values, 'from'), document(values, 'to')];
    const accepted = values.accepted === undefined ? [] : checkAccepted(document(values, 'accepted'));
    const { changes, unused } = withAccepted(compared(from, to), accepted);
    stdout.write(`${format(changes, textOf(values, 'to')!, version)}\n`);
    for (const id of unused) stderr.write(`${printable(`Accepted, and not changed: ${id}`)}\n`);
    return changes.some(failing(failOn, values.strict === true)) ? EXIT.failed : EXIT.ok;
  },
};

function failing(failOn: string, strict: boolean): (change: DocumentChange) => boolean {
  return ({ verdict, accepted }) => {
    if (failOn === 'never' || accepted !== undefined) return false;
    return failOn === 'any' || verdict === 'breaks' || (strict && verdict === 'unknown');
  };
}

function compared(from: unknown, to: unknown): readonly DocumentChange[] {
  try {
    return compareDocuments(from, to);
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}

function document(values: FlagValues, name: string): unknown {
  const file = textOf(values, name);
  if (file === undefined) throw new UsageError(`--${name} is required`);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  } catch (error) {
    throw new UsageError(`--${name} cannot be read as JSON: ${errorMessage(error).split('\n')[0]}`);
  }
}

function oneOf(values: FlagValues, name: string, otherwise: string, allowed: readonly string[]): string {
  const value = textOf(values, name) ?? otherwise;
  if (!allowed.includes(value)) throw new UsageError(`--${name} is «${value}»; allowed: ${allowed.join(', ')}`);
  return value;
}
