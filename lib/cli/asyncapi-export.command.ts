import { writeFileSync } from 'node:fs';
import { toYaml } from '../asyncapi/yaml.js';
import { errorMessage } from '../errors/redact.js';
import { APPLICATION, APPLICATION_NOTES, documentOf } from './asyncapi-application.js';
import { type Command, EXIT } from './command.js';
import { textOf, UsageError } from './flags.js';

export const asyncApiExportCommand: Command = {
  name: 'asyncapi export',
  what: 'Writes what an application sends and receives, as an AsyncAPI 3.1 document.',
  flags: [
    ...APPLICATION,
    { name: 'out', value: 'file', what: 'where it is written; YAML where it ends in .yaml or .yml', default: 'stdout' },
  ],
  notes: `${APPLICATION_NOTES}\n\nExit codes: 0 written, 1 failed, 2 wrong usage.`,
  async run(values, console) {
    const out = textOf(values, 'out');
    const document = await documentOf(values, console);
    const text = isYaml(out) ? toYaml(document) : `${JSON.stringify(document, null, 2)}\n`;
    if (out === undefined) console.stdout.write(text);
    else write(out, text);
    for (const one of document['x-nestjs-messaging-undocumented'] ?? []) console.stderr.write(`No schema: ${one}\n`);
    return EXIT.ok;
  },
};

export function isYaml(file: string | undefined): boolean {
  return file !== undefined && /\.ya?ml$/i.test(file);
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`--out cannot be written: ${errorMessage(error)}`);
  }
}
