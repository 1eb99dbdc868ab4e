import { readFileSync } from 'node:fs';
import { compareDocuments } from '../asyncapi/document-comparison.js';
import { toYaml } from '../asyncapi/yaml.js';
import { errorMessage } from '../errors/redact.js';
import { printable } from '../errors/printable.js';
import { APPLICATION, APPLICATION_NOTES, documentOf } from './asyncapi-application.js';
import { FORMATS } from './asyncapi-diff-formats.js';
import { isYaml } from './asyncapi-export.command.js';
import { type Command, EXIT } from './command.js';
import { textOf, UsageError } from './flags.js';

export const asyncApiCheckCommand: Command = {
  name: 'asyncapi check',
  what: 'Fails where a committed AsyncAPI document is not that of the application.',
  flags: [...APPLICATION, { name: 'against', value: 'file', what: 'the committed document; required' }],
  notes: `${APPLICATION_NOTES}\n\nExit codes: 0 it is the same, 1 it differs, or failed, 2 wrong usage.`,
  async run(values, console) {
    const file = textOf(values, 'against');
    if (file === undefined) throw new UsageError('--against is required');
    const committed = read(file);
    const document = await documentOf(values, console);
    const same = isYaml(file)
      ? committed.replace(/\r\n/g, '\n') === toYaml(document)
      : JSON.stringify(parsed(committed)) === JSON.stringify(document);
    if (same) return EXIT.ok;
    console.stderr.write(`${file} is not that of the application any more: write it with asyncapi export --out\n`);
    if (!isYaml(file)) console.stderr.write(`${printable(changes(parsed(committed), document))}\n`);
    return EXIT.failed;
  },
};

function changes(before: unknown, after: unknown): string {
  try {
    return FORMATS.text(compareDocuments(before, after), '', '');
  } catch (error) {
    return errorMessage(error);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--against cannot be read: ${errorMessage(error)}`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new UsageError(`--against is no JSON: ${errorMessage(error)}`);
  }
}
