import { SerializationError } from '../../errors/publish-errors.js';
import type { Headers, HeaderValue } from '../../message/headers.js';

/*
 * Headers of a broker that has only texts. A string travels as it is; another value as its natural text, and the header
 * `messaging-types` tells what it was: `{"count":"number"}`. What cannot travel under its own name (spaces, line breaks,
 * names that the broker or this package give a meaning) travels under a name made up for it.
 */

export const TYPES_HEADER = 'messaging-types';
const RENAMED_PREFIX = 'messaging-header-';

const MOST_MEANINGS = 1_000;
const MOST_REMEMBERED = 64;
const MOST_DEEP = 100;

/** A name that the broker gives a meaning, and this package none. */
export const BROKERS_OWN = '';

/** Names of headers that mean something, compared without case. */
export class ReservedNames<Meaning extends string> {
  private readonly meanings: ReadonlyMap<string, Meaning>;
  /** Names that were looked at: the same few come with every message. */
  private readonly seen = new Map<string, Meaning | typeof BROKERS_OWN | undefined>();

  constructor(
    names: Readonly<Record<Meaning, string>>,
    /** How names that the broker gives a meaning begin, in lower case. */
    private readonly brokersOwn: string,
  ) {
    const entries = Object.entries(names) as [Meaning, string][];
    this.meanings = new Map(entries.map(([meaning, name]) => [name.toLowerCase(), meaning]));
  }

  /** Undefined: the header is an application's. */
  meaningOf(name: string): Meaning | typeof BROKERS_OWN | undefined {
    const known = this.seen.get(name);
    if (known !== undefined || this.seen.has(name)) return known;
    const lower = name.toLowerCase();
    const meaning = this.meanings.get(lower) ?? (lower.startsWith(this.brokersOwn) ? BROKERS_OWN : undefined);
    if (this.seen.size < MOST_MEANINGS && name.length <= MOST_REMEMBERED) this.seen.set(name, meaning);
    return meaning;
  }
}

type Type = 'number' | 'boolean' | 'null' | 'date' | 'bytes' | 'json';
/** A type, or with it the name that a header was given by its sender. */
type TypeEntry = Type | readonly [Type | 'text', string];

/** Writes the headers of one message. */
export abstract class TextHeaders {
  private types?: Record<string, TypeEntry>;
  private renamed = 0;

  constructor(private readonly reserved: ReservedNames<string>) {}

  /** Writes a header whose name and value are fit. */
  abstract line(name: string, text: string): void;

  /** Writes a property under the broker's name for it. @throws SerializationError */
  text(name: string, value: string | number): void {
    const text = String(value);
    if (!isFitValue(text)) throw new SerializationError(`The property «${name}» holds characters that cannot be sent`);
    this.line(name, text);
  }

  /** Any header of an application; `plain`: several texts as several lines, as other clients write them. */
  header(name: string, value: HeaderValue, plain = false): void {
    if (value === undefined) return;
    const fitName = this.isFitName(name);
    if (plain && fitName && Array.isArray(value)) {
      const texts: readonly HeaderValue[] = value;
      if (texts.every((text) => typeof text === 'string' && isFitValue(text)))
        return texts.forEach((text) => this.line(name, text as string));
    }
    const wireName = fitName ? name : `${RENAMED_PREFIX}${++this.renamed}`;
    let type: Type | 'text' = 'text';
    let text: string;
    if (typeof value !== 'string') [type, text] = write(value);
    else if (isFitValue(value)) text = value;
    else [type, text] = ['json', JSON.stringify(value)];
    this.line(wireName, text);
    if (!fitName) (this.types ??= {})[wireName] = [type, name];
    else if (type !== 'text') (this.types ??= {})[wireName] = type;
  }

  /** After the last header: what those are that are no text. */
  endTypes(): void {
    if (this.types) this.line(TYPES_HEADER, asciiJson(this.types));
  }

  private isFitName(name: string): boolean {
    return (
      /^[!-9;-~]+$/.test(name) &&
      this.reserved.meaningOf(name) === undefined &&
      name !== TYPES_HEADER &&
      !name.startsWith(RENAMED_PREFIX)
    );
  }
}

export type HeaderTypes = Readonly<Record<string, unknown>>;

/** The last text and what it said: messages of one publisher mostly have the same. */
let last: { readonly text: string; readonly types: HeaderTypes | undefined } = { text: '', types: undefined };

/** What `messaging-types` says of the headers of one message. */
export function parseTypes(text: string | undefined): HeaderTypes | undefined {
  if (text === undefined) return undefined;
  if (text !== last.text) last = { text, types: readTypes(text) };
  return last.types;
}

function readTypes(text: string): HeaderTypes | undefined {
  try {
    const types: unknown = JSON.parse(text);
    return typeof types === 'object' && types !== null ? (types as HeaderTypes) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Adds a header as its sender had it. A type that does not fit the text is ignored: then the value is a text. Several
 * texts have no type.
 */
export function putHeader(
  headers: Record<string, HeaderValue>,
  name: string,
  text: string | readonly string[],
  types?: HeaderTypes,
): void {
  if (!types || typeof text !== 'string' || !Object.hasOwn(types, name)) return define(headers, name, text);
  const entry = types[name];
  if (Array.isArray(entry) && typeof entry[1] === 'string') define(headers, entry[1], read(text, entry[0]));
  else define(headers, name, read(text, entry));
}

/** An assignment to «__proto__» would set the prototype; to define every header takes much longer. */
function define(headers: Record<string, HeaderValue>, name: string, value: HeaderValue): void {
  if (name !== '__proto__') headers[name] = value;
  else Object.defineProperty(headers, name, { value, enumerable: true, writable: true, configurable: true });
}

/** A client may cut white space at the ends; half a pair of surrogates has no bytes. */
function isFitValue(value: string): boolean {
  return !/[\r\n\0]|^\s|\s$/.test(value) && (value as string & { isWellFormed(): boolean }).isWellFormed();
}

function write(value: Exclude<HeaderValue, string | undefined>): [Type, string] {
  if (value === null) return ['null', 'null'];
  if (typeof value === 'number') return ['number', Object.is(value, -0) ? '-0' : String(value)];
  if (typeof value === 'boolean') return ['boolean', String(value)];
  if (value instanceof Date) return ['date', value.toISOString()];
  if (value instanceof Uint8Array) return ['bytes', base64(value)];
  return ['json', asciiJson(tagged(value))];
}

function read(text: string, type: unknown): HeaderValue {
  switch (type) {
    case 'null':
      return null;
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'date': {
      const date = new Date(text);
      return Number.isNaN(date.getTime()) ? text : date;
    }
    case 'bytes':
      return Buffer.from(text, 'base64');
    case 'json':
      try {
        return untagged(JSON.parse(text) as HeaderValue);
      } catch {
        return text;
      }
    default:
      return text;
  }
}

/** What JSON cannot tell apart becomes `{"$": [type, text]}`; a key of its own that begins with `$` gets one more. */
export function tagged(value: HeaderValue): HeaderValue {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Object.is(value, -0) ? { $: write(value) } : value;
  if (value === undefined) return { $: ['undefined'] };
  if (value instanceof Date || value instanceof Uint8Array) return { $: write(value) };
  if (Array.isArray(value)) return value.map(tagged);
  return Object.fromEntries(
    Object.entries(value as Headers).map(([key, inner]) => [key.startsWith('$') ? `$${key}` : key, tagged(inner)]),
  );
}

/** What is nested deeper than any publisher may is left out: anybody can write it, and it could not be written again. */
export function untagged(value: HeaderValue, depth = 0): HeaderValue {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MOST_DEEP) return undefined;
  if (Array.isArray(value)) return value.map((inner: HeaderValue) => untagged(inner, depth + 1));
  const entries = Object.entries(value as Headers);
  const [first] = entries;
  if (entries.length === 1 && first[0] === '$' && Array.isArray(first[1])) {
    const [type, text] = first[1] as readonly unknown[];
    if (type === 'undefined') return undefined;
    return typeof text === 'string' ? read(text, type) : { $: untagged(first[1], depth + 1) };
  }
  return Object.fromEntries(
    entries.map(([key, inner]) => [key.startsWith('$$') ? key.slice(1) : key, untagged(inner, depth + 1)]),
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** JSON without characters that some client could take for more than text. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
