import type { ArchivedDeadLetter } from '../dead-letter/archive-search.js';
import type { DeadLetter } from '../dead-letter/dead-letter.js';
import { printable } from '../errors/printable.js';
import { header, type Headers, type HeaderValue } from '../message/headers.js';

/** A table with a header; the last column is cut where it does not fit into `width`. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], width = Infinity): string {
  const cells = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  return cells
    .map((row) => {
      const line = row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column])))
        .join('  ');
      return line.length > width ? `${line.slice(0, Math.max(1, width - 1))}…` : line;
    })
    .join('\n');
}

/** One line of a list. */
export function rowOf({ time, id, route, reason, attempts, error }: DeadLetter): string[] {
  const { class: name, message } = error;
  return [timeText(time), id || '-', route, reason, String(attempts), message === '' ? name : `${name}: ${message}`];
}

export const ROW_HEAD = ['TIME', 'ID', 'ROUTE', 'REASON', 'ATTEMPTS', 'ERROR'];

/** Everything that is known of a dead letter. */
export function describe(letter: DeadLetter | ArchivedDeadLetter): string {
  const { id, deadLetterQueue, route, reason, error, attempts, time, origin, headers, body } = letter;
  const facts: [string, string | undefined][] = [
    ['id', id || '(none)'],
    ['dead-letter queue', deadLetterQueue],
    ['route', route],
    ['reason', reason],
    ['error', error.code === undefined ? error.class : `${error.class} (${error.code})`],
    ['message', error.message],
    ['attempts', String(attempts)],
    ['time', timeText(time)],
    ['topic', origin.topic],
    ['queue', origin.queue],
    ['service', origin.service],
    ['host', origin.host],
    ...archiveFacts(letter),
  ];
  const lines = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.padEnd(17)}  ${printable(value)}`],
  );
  const told = Object.entries(headers).filter(([name]) => name !== header.errorStack);
  lines.push(...headerLines(told));
  if (error.stack !== undefined)
    lines.push('', 'stack', ...error.stack.split('\n').map((line) => `  ${printable(line)}`));
  return [...lines, ...bodyLines(body)].join('\n');
}

/** Headers as a block of lines. */
export function headerLines(headers: readonly (readonly [string, HeaderValue])[]): string[] {
  return ['', 'headers', ...headers.map(([name, value]) => `  ${printable(name)}: ${printable(headerText(value))}`)];
}

/** A body as a block of lines. */
export function bodyLines(body: Buffer): string[] {
  const { text, encoding } = bodyText(body);
  const title = `body (${body.length} bytes${encoding === 'base64' ? ', as base64' : ''})`;
  return ['', title, ...text.split('\n').map((line) => `  ${printable(line)}`)];
}

function archiveFacts(letter: DeadLetter | ArchivedDeadLetter): [string, string][] {
  if (!('archivedAt' in letter)) return [];
  return [
    ['archived', timeText(letter.archivedAt)],
    ['allow retry', letter.allowRetry ? 'yes' : 'no'],
  ];
}

/** A dead letter as JSON: times as ISO, the body as text where it is UTF-8. */
export function toJson(letter: DeadLetter | ArchivedDeadLetter): object {
  const { deadLetterQueue, headers, body, time, ...rest } = letter;
  const { text, encoding } = bodyText(body);
  return {
    ...rest,
    ...(deadLetterQueue !== undefined && { deadLetterQueue }),
    ...(time !== undefined && { time: timeText(time) }),
    ...('archivedAt' in letter && { archivedAt: timeText(letter.archivedAt) }),
    headers: headersJson(headers),
    body: text,
    encoding,
  };
}

export function timeText(time: number | undefined): string {
  const date = time === undefined ? undefined : new Date(time);
  return date === undefined || Number.isNaN(date.getTime()) ? '-' : date.toISOString();
}

/** A body as text where it is UTF-8, else as base64. */
export function bodyText(body: Buffer): { text: string; encoding: 'utf8' | 'base64' } {
  const text = body.toString('utf8');
  return Buffer.from(text).equals(body)
    ? { text, encoding: 'utf8' }
    : { text: body.toString('base64'), encoding: 'base64' };
}

/** Headers as JSON: bytes as base64. */
export function headersJson(headers: Headers): object {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, headerJson(value)]));
}

function headerText(value: HeaderValue): string {
  return typeof value === 'string' ? value : (JSON.stringify(headerJson(value)) ?? '');
}

function headerJson(value: HeaderValue): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
