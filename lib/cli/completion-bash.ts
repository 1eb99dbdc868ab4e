import type { Command } from './command.js';
import { firstWords, optionsOf, valueKindOf } from './completion-words.js';
import type { Flag } from './flags.js';

/** For bash 3.2 as well (no `compopt` there), and without the package bash-completion. */
export function bashCompletion(commands: readonly Command[]): string {
  const first = firstWords(commands);
  const cases = first.map(({ word, command, seconds }) => {
    const own = list([...seconds.map((one) => one.word), ...optionsOf(command)]);
    const others = seconds.map((one) => `*,${word},${one.word}) list=${list(optionsOf(one.command))} ;;`);
    return [`3,${word},*) list=${own} ;;`, ...others, `*,${word},*) list=${list(optionsOf(command))} ;;`];
  });
  return `# bash completion of nestjs-messaging
_nestjs_messaging() {
  local line=\${COMP_LINE:0:COMP_POINT} words cur prev count list='' service='' head='' one
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  count=\${#words[@]} cur=\${words[\${#words[@]}-1]} prev=\${words[\${#words[@]}-2]}
  [[ $cur == --*=* ]] && prev=\${cur%%=*} && cur=\${cur#*=}
  COMPREPLY=()
  case $prev in
    ${valueCases(
      commands,
      first.map(({ word }) => word),
    ).join('\n    ')}
    *) case $count,\${words[1]},\${words[2]} in
      2,*) list=${list([...first.map(({ word }) => word), 'help', '--help', '--version'])} ;;
      ${cases.flat().join('\n      ')}
    esac ;;
  esac
  # Readline replaces what stands behind the last colon.
  [[ $COMP_WORDBREAKS == *:* ]] && head=\${cur%"\${cur##*:}"}
  while IFS= read -r one; do
    [[ -n $one && $one == "$cur"* && ! $one =~ [^A-Za-z0-9_.:@%+,/-] ]] && COMPREPLY+=("\${one#"$head"}")
  done <<< "$list"
}
complete -F _nestjs_messaging nestjs-messaging
`;
}

const list = (words: readonly string[]): string => `$'${words.join('\\n')}'`;

/** What an option takes is the same in every command, but for the names of queues. */
function valueCases(commands: readonly Command[], words: readonly string[]): string[] {
  const flags = new Map<string, Flag>();
  for (const flag of commands.flatMap((command) => command.flags))
    if (flag.value !== undefined && !flags.get(flag.name)?.isQueue) flags.set(flag.name, flag);
  const named = (kind: string): string =>
    [...flags.values()].flatMap((flag) => (valueKindOf(flag) === kind ? [`--${flag.name}`] : [])).join('|');
  const paths = (option: string): string =>
    `local IFS=$'\\n'; COMPREPLY=($(compgen ${option} -- "$cur")); compopt -o filenames 2>/dev/null; return ;;`;
  const withQueues = words.filter((word) =>
    commands.some(({ name, flags: own }) => name.split(' ')[0] === word && own.some(({ isQueue }) => isQueue)),
  );
  const chosen = [...flags.values()].flatMap((flag) => {
    const kind = valueKindOf(flag);
    return typeof kind === 'string' ? [] : [`--${flag.name}) list=${list(kind)} ;;`];
  });
  return [
    `${named('file')}) ${paths('-f')}`,
    `${named('folder')}) ${paths('-d')}`,
    ...chosen,
    `${named('queue')}) [[ $cur == *:* ]] && service=\${cur%%:*}
      case \${words[1]} in ${withQueues.join('|')})
        list=$("\${words[0]}" queues --names --timeout 2s \${service:+--service "$service"} 2>/dev/null) ;;
      esac ;;`,
    `${named('other')}) return ;;`,
  ];
}
