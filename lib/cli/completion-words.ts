import type { Command } from './command.js';
import type { Flag } from './flags.js';

/** A word that a command line begins with. */
export interface FirstWord {
  readonly word: string;
  readonly what: string;
  /** The command that is called by the word alone. */
  readonly command?: Command;
  /** The words that can follow. */
  readonly seconds: readonly SecondWord[];
}

export interface SecondWord {
  readonly word: string;
  readonly command: Command;
}

export function firstWords(commands: readonly Command[]): FirstWord[] {
  const words = new Set(commands.map(({ name }) => name.split(' ')[0]));
  return [...words].map((word) => {
    const command = commands.find(({ name }) => name === word);
    const group = commands.filter(({ name }) => name.startsWith(`${word} `));
    const seconds = group.map((one) => ({ word: one.name.slice(word.length + 1), command: one }));
    const what = command?.what ?? seconds.map((one) => one.word).join(', ');
    return { word, what, ...(command && { command }), seconds };
  });
}

/** The options of a command, as they are typed. */
export function optionsOf(command: Command | undefined): string[] {
  return [...(command?.flags ?? []).map(({ name }) => `--${name}`), '--help'];
}

/** What can stand behind an option, as the help says it: a path, one of some words, a queue of the broker. */
export type ValueKind = 'file' | 'folder' | 'queue' | 'other' | readonly string[];

export function valueKindOf({ value = '', isQueue }: Flag): ValueKind {
  if (value === 'file' || value === 'folder') return value;
  if (value.includes('|')) return value.split('|');
  return isQueue ? 'queue' : 'other';
}
