import { SerializationError } from '../../errors/publish-errors.js';
import type { Headers, HeaderValue } from '../../message/headers.js';

/*
 * Headers of NATS are text. A string travels as it is; another value as its natural text, and the header
 * `messaging-types` tells what it was: `{"count":"number"}`. What the protocol cannot carry under its own name (spaces,
 * line breaks, names that the server or this package give a meaning) travels under a name made up for it.
 */

export const TYPES_HEADER = 'messaging-types';
const RENAMED_PREFIX = 'messaging-header-';
const LINE = '\r\n';
const FIRST_LINE = `NATS/1.0${LINE}`;

/** The standard metadata of a message, in headers that foreign clients can set and read. Compared without case. */
export const property = {
  id: 'Message-Id',
  type: 'Message-Type',
  contentType: 'Content-Type',
  contentEncoding: 'Content-Encoding',
  correlationId: 'Correlation-Id',
  replyTo: 'Reply-To',
  appId: 'App-Id',
  timestamp: 'Timestamp',
  priority: 'Priority',
} as const;

export const DEDUPE_HEADER = 'Nats-Msg-Id';

const RESERVED = new Set(Object.values(property).map((name) => name.toLowerCase()));
/** Names that were looked at, with their meaning: the same few come with every message. */
const meanings = new Map<string, string | undefined>();
const MOST_MEANINGS = 1_000;
const MOST_REMEMBERED = 64;

/** The name in lower case of a header that is a property or one of the server's; undefined for an application's. */
export function reservedName(name: string): string | undefined {
  const known = meanings.get(name);
  if (known !== undefined || meanings.has(name)) return known;
  const meaning = isProperty(name) || isServerHeader(name) ? name.toLowerCase() : undefined;
  if (meanings.size < MOST_MEANINGS && name.length <= MOST_REMEMBERED) meanings.set(name, meaning);
  return meaning;
}

function isProperty(name: string): boolean {
  return RESERVED.has(name.toLowerCase());
}

/** Headers that tell the server what to do with a message: never taken over from a message. */
function isServerHeader(name: string): boolean {
  return name.slice(0, 5).toLowerCase() === 'nats-';
}

type Type = 'number' | 'boolean' | 'null' | 'date' | 'bytes' | 'json';
/** A type, or with it the name that a header was given by its sender. */
type TypeEntry = Type | readonly [Type | 'text', string];

/** Writes the lines of a header block. */
export class HeaderLines {
  private text = FIRST_LINE;
  private types?: Record<string, TypeEntry>;
  private renamed = 0;

  /** A name and value known to be fit. */
  line(name: string, value: string): void {
    this.text += `${name}: ${value}${LINE}`;
  }

  /** A property, which cannot be empty or hold what a line cannot. */
  property(name: string, value: string | number | undefined): void {
    if (value === undefined) return;
    const text = String(value);
    if (!isFitValue(text)) throw new SerializationError(`The property «${name}» holds characters that cannot be sent`);
    this.line(name, text);
  }

  /** Any header of an application; `plain`: several texts as several lines, as other clients write them. */
  header(name: string, value: HeaderValue, plain = false): void {
    if (value === undefined) return;
    if (plain && Array.isArray(value) && isFitName(name)) {
      const texts: readonly HeaderValue[] = value;
      if (texts.every((text) => typeof text === 'string' && isFitValue(text)))
        return texts.forEach((text) => this.line(name, text as string));
    }
    const fitName = isFitName(name);
    const wireName = fitName ? name : `${RENAMED_PREFIX}${++this.renamed}`;
    let type: Type | 'text' = 'text';
    let text: string;
    if (typeof value === 'string') {
      if (isFitValue(value)) text = value;
      else [type, text] = ['json', JSON.stringify(value)];
    } else [type, text] = write(value);
    this.line(wireName, text);
    if (!fitName) (this.types ??= {})[wireName] = [type, name];
    else if (type !== 'text') (this.types ??= {})[wireName] = type;
  }

  /** Nothing where no line was written. */
  end(): Buffer {
    if (this.text === FIRST_LINE) return Buffer.alloc(0);
    if (this.types) this.line(TYPES_HEADER, asciiJson(this.types));
    return Buffer.from(this.text + LINE);
  }
}

type Types = Readonly<Record<string, unknown>>;

/** The last text and what it said: messages of one publisher mostly have the same. */
let last: { readonly text: string; readonly types: Types | undefined } = { text: '', types: undefined };

/** What `messaging-types` says of the headers of one message. */
export function parseTypes(text: string | undefined): Types | undefined {
  if (text === undefined) return undefined;
  if (text !== last.text) last = { text, types: readTypes(text) };
  return last.types;
}

function readTypes(text: string): Types | undefined {
  try {
    const types: unknown = JSON.parse(text);
    return typeof types === 'object' && types !== null ? (types as Types) : undefined;
  } catch {
    return undefined;
  }
}

/** A header as its sender had it. A type that does not fit the text is ignored: then it is a text. */
export function readHeader(name: string, text: string, entry: unknown): readonly [string, HeaderValue] {
  if (Array.isArray(entry) && typeof entry[1] === 'string') return [entry[1], read(text, entry[0])];
  return [name, read(text, entry)];
}

function isFitName(name: string): boolean {
  return (
    /^[!-9;-~]+$/.test(name) &&
    !isServerHeader(name) &&
    !isProperty(name) &&
    name !== TYPES_HEADER &&
    !name.startsWith(RENAMED_PREFIX)
  );
}

/** A client may cut white space at the ends; half a pair of surrogates has no bytes. */
function isFitValue(value: string): boolean {
  return !/[\r\n\0]/.test(value) && value.trim() === value && Buffer.from(value).toString() === value;
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
function tagged(value: HeaderValue): HeaderValue {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Object.is(value, -0) ? { $: write(value) } : value;
  if (value === undefined) return { $: ['undefined'] };
  if (value instanceof Date) return { $: ['date', value.toISOString()] };
  if (value instanceof Uint8Array) return { $: ['bytes', base64(value)] };
  if (Array.isArray(value)) return value.map(tagged);
  return Object.fromEntries(
    Object.entries(value as Headers).map(([key, inner]) => [key.startsWith('$') ? `$${key}` : key, tagged(inner)]),
  );
}

function untagged(value: HeaderValue): HeaderValue {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(untagged);
  const entries = Object.entries(value as Headers);
  const [first] = entries;
  if (entries.length === 1 && first[0] === '$' && Array.isArray(first[1])) {
    const [type, text] = first[1] as readonly string[];
    if (type === 'undefined') return undefined;
    return read(text, type);
  }
  return Object.fromEntries(
    entries.map(([key, inner]) => [key.startsWith('$$') ? key.slice(1) : key, untagged(inner)]),
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
