import { InvalidOptionError } from '../errors/configuration-errors.js';
import { compileSelection } from '../dead-letter/dead-letter-selection.js';
import type { DeadLetter } from '../dead-letter/dead-letter.js';
import { hasWildcard } from '../transport/topic-pattern.js';
import type { BodyViews } from './body-view.js';
import { HIDDEN, type HeldLetter } from './held-letter.js';
import { groupOf } from './letter-groups.js';

/** A filter as it is written in the page, in its address and in the API. */
export interface LetterFilter {
  /** Of all conditions that need no body. */
  readonly matches: (held: HeldLetter) => boolean;
  /** Of those that need one; undefined where there are none. */
  readonly matchesBody: ((letter: DeadLetter) => boolean) | undefined;
}

export interface FilterSurroundings {
  readonly now: number;
  readonly bodies: BodyViews;
  /** Whether whoever asks may see bodies. */
  readonly mayRead: boolean;
}

const MAX_LENGTH = 2_000;
const TERM = /\s*(?:([\w-]+(?:\.[^\s:"]+)?):)?(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)/y;
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const HELP =
  'conditions such as error:PaymentError route:order.* reason:expired queue:… id:… newer:1d older:1h before:2026-01-31T12:00:00Z header.tenant:7 body.customer.id:42 "a text"';

/** What a filter says, in the order it is read. */
class FilterReader {
  readonly conditions: {
    headers: Record<string, string>;
    route?: string;
    olderThan?: number | Date;
    newerThan?: number | Date;
  } = {
    headers: {},
  };
  readonly keys = new Set<string>();
  readonly ids = new Set<string>();
  readonly more: ((held: HeldLetter) => boolean)[] = [];
  readonly ofBody: ((letter: DeadLetter) => boolean)[] = [];

  constructor(private readonly around: FilterSurroundings) {}

  read(name: string | undefined, value: string): void {
    const { bodies, mayRead } = this.around;
    const { conditions, more, ofBody } = this;
    if (name === undefined || name === 'text') this.text(value.toLowerCase());
    else if (name === 'key') this.keys.add(value);
    else if (name === 'id') this.ids.add(value);
    else if (name === 'error') more.push(({ letter: { error } }) => error.class === value || error.code === value);
    else if (name === 'reason') more.push(({ letter }) => letter.reason === value);
    else if (name === 'queue') more.push(({ letter }) => (letter.deadLetterQueue ?? 'publisher') === value);
    else if (name === 'group') more.push((held) => groupOf(held) === value);
    else if (name === 'route' && hasWildcard(value)) conditions.route = value;
    else if (name === 'route') more.push(({ letter }) => letter.route === value);
    else if (name === 'newer') conditions.newerThan = age(name, value);
    else if (name === 'older') conditions.olderThan = age(name, value);
    else if (name === 'before') conditions.olderThan = new Date(value);
    else if (name === 'after') conditions.newerThan = new Date(value);
    else if (name.startsWith('header.')) conditions.headers[name.slice(7)] = value;
    else if (name.startsWith('body.')) {
      if (!mayRead) throw new InvalidOptionError('filter', name, 'no condition of a body: you may not see bodies');
      const path = name.slice(5).split('.');
      ofBody.push(({ body }) => bodies.find(body, path) === value);
    } else throw new InvalidOptionError('filter', `${name}:`, HELP);
  }

  private text(wanted: string): void {
    const { bodies, mayRead } = this.around;
    const isSeen = (letter: DeadLetter): boolean =>
      seenTexts(letter).some((text) => text.toLowerCase().includes(wanted));
    if (mayRead) this.ofBody.push((letter) => isSeen(letter) || bodies.includes(letter.body, wanted));
    else this.more.push(({ letter }) => isSeen(letter));
  }
}

/** @throws InvalidOptionError with how filters are written */
export function parseFilter(text: string, around: FilterSurroundings): LetterFilter {
  if (text.length > MAX_LENGTH)
    throw new InvalidOptionError('filter', 'a long text', `${MAX_LENGTH} characters at most`);
  const reader = new FilterReader(around);
  const trimmed = text.trim();
  TERM.lastIndex = 0;
  while (TERM.lastIndex < trimmed.length) {
    const at = TERM.lastIndex;
    const term = TERM.exec(trimmed);
    if (!term) throw new InvalidOptionError('filter', trimmed.slice(at, at + 40), HELP);
    reader.read(term[1], term[2] === undefined ? term[3] : term[2].replace(/\\(.)/gs, '$1'));
  }
  const { conditions, keys, ids, more, ofBody } = reader;
  const selects = compileSelection(conditions, around.now);
  return {
    matches: (held) =>
      (keys.size === 0 || keys.has(held.key)) &&
      (ids.size === 0 || ids.has(held.letter.id)) &&
      selects(held.letter) &&
      more.every((one) => one(held)),
    matchesBody: ofBody.length > 0 ? (letter) => ofBody.every((one) => one(letter)) : undefined,
  };
}

function seenTexts({ id, route, reason, error, headers }: DeadLetter): string[] {
  const values = Object.values(headers).filter((value) => typeof value === 'string' && value !== HIDDEN) as string[];
  return [id, route, reason, error.class, error.code ?? '', error.message, ...values];
}

function age(name: string, value: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(value) ?? [];
  if (!unit)
    throw new InvalidOptionError('filter', `${name}:${value}`, `${name}:30s, ${name}:10m, ${name}:12h or ${name}:7d`);
  return Number(count) * UNITS[unit];
}
