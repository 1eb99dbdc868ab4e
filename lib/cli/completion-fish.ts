import type { Command } from './command.js';
import { firstWords, valueKindOf } from './completion-words.js';
import type { Flag } from './flags.js';

const COMPLETE = 'complete -c nestjs-messaging';

export function fishCompletion(commands: readonly Command[]): string {
  const lines = [`${COMPLETE} -f`, ...['help', 'version'].map((name) => `${COMPLETE} ${at('')} -l ${name}`)];
  for (const { word, what, seconds } of firstWords(commands)) {
    lines.push(`${COMPLETE} ${at('')} -a ${word} -d ${quoted(what)}`);
    for (const one of seconds) lines.push(`${COMPLETE} ${at(word)} -a ${one.word} -d ${quoted(one.command.what)}`);
  }
  for (const { name, flags } of commands)
    for (const flag of flags) lines.push(`${COMPLETE} ${at(`${name}( -.*)?`)} ${option(flag)}`);
  return `# fish completion of nestjs-messaging
function __nestjs_messaging_at
    set -l words (commandline -opc)
    set -e words[1]
    string match -qr -- "^$argv\\$" "$words"
end
function __nestjs_messaging_queues
    set -l program (commandline -opc)[1]
    set -l service (string match -r -- '^([^:]+):' (commandline -ct | string replace -r '^--queue=' ''))
    $program queues --names --timeout 2s (test -n "$service[2]"; and printf '%s\\n' --service $service[2]) 2>/dev/null
end
${lines.join('\n')}
`;
}

const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

/** Where these words stand before what is being typed. */
const at = (words: string): string => `-n ${quoted(`__nestjs_messaging_at ${quoted(words)}`)}`;

function option(flag: Flag): string {
  const { name, value, what } = flag;
  const kind = valueKindOf(flag);
  const values =
    typeof kind !== 'string'
      ? `-x -a ${quoted(kind.join(' '))}`
      : {
          file: '-r -F',
          folder: "-x -a '(__fish_complete_directories)'",
          queue: "-x -a '(__nestjs_messaging_queues)'",
          other: '-x',
        }[kind];
  return `-l ${name} ${value === undefined ? '' : `${values} `}-d ${quoted(what)}`;
}
