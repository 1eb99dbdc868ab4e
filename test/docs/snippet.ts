import type { DeadLetters, Messaging, Publisher } from 'nestjs-messaging';
import type { CodeBlock } from './markdown.js';

/** What the snippets of a document may use without importing it. */
export interface SnippetScope {
  readonly publisher: Publisher;
  readonly messaging: Messaging;
  readonly deadLetters: DeadLetters;
}

/** A module as it stands has an export; any other block is the body of a function. */
export function isModule({ code }: CodeBlock): boolean {
  return /^export /m.test(code);
}

/** The snippet as a module that exports a function. */
export function wrapSnippet({ code }: CodeBlock): string {
  const imports = [...code.matchAll(/^import .*;$/gm)].map(([line]) => line);
  const body = code.replace(/^import .*;$/gm, '');
  return `${imports.join('\n')}
import type { SnippetScope } from '../../../test/docs/snippet.js';
export default async function ({ publisher, messaging, deadLetters }: SnippetScope): Promise<void> {
${body}
}
`;
}
