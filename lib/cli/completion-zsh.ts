import type { Command } from './command.js';
import { firstWords, valueKindOf } from './completion-words.js';
import type { Flag } from './flags.js';

/** To be read by a shell, or as the file `_nestjs-messaging` in a folder of `fpath`. */
export function zshCompletion(commands: readonly Command[]): string {
  const first = firstWords(commands);
  const cases = first.flatMap(({ word, command, seconds }) => [
    ...seconds.map((one) => `(${word}\\ ${one.word}) shift 2 words; ((CURRENT -= 2)); ${specs(one.command)} ;;`),
    `(${word}\\ *) ${describe(seconds.map((one) => [one.word, one.command.what]))}shift words; ((CURRENT--)); ${specs(command)} ;;`,
  ]);
  return `#compdef nestjs-messaging
_nestjs-messaging() {
  local program=$words[1] second=''
  local -a found options
  if ((CURRENT == 2)); then
    found=(${items([...first.map((one): Item => [one.word, one.what]), ...COMMON])})
    _describe command found
    return
  fi
  ((CURRENT > 3)) && second=$words[3]
  case "$words[2] $second" in
    ${cases.join('\n    ')}
  esac
  _arguments -S : $options
}
_nestjs-messaging_queues() {
  local service=''
  local -a names
  [[ $PREFIX == *:* ]] && service=\${\${PREFIX%%:*}//\\\\/}
  names=(\${(f)"$($program queues --names --timeout 2s \${service:+--service} $service 2>/dev/null)"})
  compadd -a names
}
if [[ $funcstack[1] == _nestjs-messaging ]]; then
  _nestjs-messaging "$@"
else
  compdef _nestjs-messaging nestjs-messaging
fi
`;
}

type Item = readonly [word: string, what: string];

const COMMON: readonly Item[] = [
  ['help', 'prints the help of a command'],
  ['--help', 'prints what there is'],
  ['--version', 'prints the version'],
];

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const items = (all: readonly Item[]): string => all.map(([word, what]) => quoted(`${word}:${what}`)).join(' ');

/** Only where the second word is being typed. */
function describe(all: readonly Item[]): string {
  return all.length === 0 ? '' : `((CURRENT == 3)) && found=(${items(all)}) && _describe command found; `;
}

function specs(command: Command | undefined): string {
  const help: Flag = { name: 'help', what: 'print this' };
  return `options=(${[...(command?.flags ?? []), help].map((flag) => quoted(spec(flag))).join(' ')})`;
}

function spec(flag: Flag): string {
  const { name, value, what, multiple } = flag;
  const told = `[${what.replace(/[[\]\\]/g, '\\$&')}]`;
  const kind = valueKindOf(flag);
  const action =
    typeof kind !== 'string'
      ? `(${kind.join(' ')})`
      : { file: '_files', folder: '_files -/', queue: '_nestjs-messaging_queues', other: ' ' }[kind];
  return `${multiple ? '*' : ''}--${name}${value === undefined ? told : `=${told}:${value}:${action}`}`;
}
