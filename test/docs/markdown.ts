import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

export interface CodeBlock {
  readonly code: string;
  /** Of the first line of code, 1 for the first line of the document. */
  readonly line: number;
}

export type Row = Readonly<Record<string, string>>;

/** A document of this repository, taken to pieces. */
export class Markdown {
  private constructor(
    readonly text: string,
    private readonly firstLine: number,
  ) {}

  static read(path: string): Markdown {
    return new Markdown(readFileSync(resolve(__dirname, '../..', path), 'utf8'), 1);
  }

  /** What stands under a heading, up to the next one of the same or a higher level. */
  section(title: string): Markdown {
    const lines = this.text.split('\n');
    const headings = levels(lines);
    const start = headings.findIndex((level, at) => level > 0 && lines[at].replace(/^#+ /, '') === title);
    if (start < 0) throw new Error(`There is no heading «${title}»`);
    const end = headings.findIndex((level, at) => at > start && level > 0 && level <= headings[start]);
    return new Markdown(lines.slice(start, end < 0 ? undefined : end).join('\n'), this.firstLine + start);
  }

  /** The code blocks in one language. */
  blocks(language: string): CodeBlock[] {
    const found: CodeBlock[] = [];
    for (const match of this.text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)) {
      const line = this.firstLine + this.text.slice(0, match.index).split('\n').length;
      if (match[1] === language) found.push({ code: match[2], line });
    }
    return found;
  }

  /** The rows of the first table, by the titles of its columns. */
  table(): Row[] {
    const [first] = this.tables();
    if (!first) throw new Error('There is no table');
    return first;
  }

  /** The rows of every table. */
  tables(): Row[][] {
    return [...this.prose().matchAll(/^\|.*\n(?:\|.*(?:\n|$))+/gm)].map(([text]) => {
      const [head, , ...lines] = text.trimEnd().split('\n');
      const titles = cells(head);
      return lines.map((line) => {
        const values = cells(line);
        if (values.length !== titles.length) throw new Error(`A row has ${values.length} cells: ${line}`);
        return Object.fromEntries(titles.map((title, column) => [title, values[column]]));
      });
    });
  }

  /** Each piece of running text: a paragraph, or an item of a list; neither tables nor code. */
  paragraphs(): string[] {
    return this.prose()
      .split(/\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) |\||#)/)
      .map((text) => text.trim())
      .filter((text) => text !== '' && !/^[|#]/.test(text));
  }

  /** Where links lead to: `page.md#heading`, as written. */
  links(): string[] {
    return [...this.prose().matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
  }

  /** The anchors of its headings, as GitHub makes them. */
  anchors(): string[] {
    return [...this.prose().matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    );
  }

  /** What stands between backticks in running text and tables. */
  inlineCode(): string[] {
    return [...this.prose().matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
  }

  /** Without its blocks of code. */
  private prose(): string {
    return this.text.replace(/^```[\s\S]*?^```$/gm, '');
  }
}

/** The text of a cell that holds nothing but code. */
export function code(cell: string): string {
  const match = /^`([^`]+)`$/.exec(cell);
  if (!match) throw new Error(`Not code alone: ${cell}`);
  return match[1];
}

function cells(line: string): string[] {
  return line
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** Per line: the level of the heading it is, or 0. */
function levels(lines: readonly string[]): number[] {
  let inCode = false;
  return lines.map((line) => {
    if (line.startsWith('```')) inCode = !inCode;
    return inCode ? 0 : (/^(#+) /.exec(line)?.[1].length ?? 0);
  });
}
