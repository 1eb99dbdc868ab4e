import { type Command, EXIT } from './command.js';
import { bashCompletion } from './completion-bash.js';
import { fishCompletion } from './completion-fish.js';
import { zshCompletion } from './completion-zsh.js';
import { PROGRAM } from './help.js';

interface Shell {
  readonly script: (commands: readonly Command[]) => string;
  /** The file that loads it, and the line that goes in there. */
  readonly install: string;
}

const SHELLS: Readonly<Record<string, Shell>> = {
  bash: { script: bashCompletion, install: `~/.bashrc: eval "$(${PROGRAM} completion bash)"` },
  zsh: { script: zshCompletion, install: `~/.zshrc, after compinit: eval "$(${PROGRAM} completion zsh)"` },
  fish: { script: fishCompletion, install: `~/.config/fish/config.fish: ${PROGRAM} completion fish | source` },
};

/** A command for each shell. Their scripts are made of the commands there are. */
export function completionCommands(commands: () => readonly Command[]): Command[] {
  return Object.entries(SHELLS).map(([name, { script, install }]) => ({
    name: `completion ${name}`,
    what: `Prints the completion script for ${name}.`,
    flags: [],
    notes: [
      `In ${install}`,
      `The names of queues are asked for where BROKER_URL is set. For «npx ${PROGRAM}»: alias ${PROGRAM}='npx ${PROGRAM}'`,
    ].join('\n'),
    async run(_, { stdout }) {
      stdout.write(script(commands()));
      return EXIT.ok;
    },
  }));
}
