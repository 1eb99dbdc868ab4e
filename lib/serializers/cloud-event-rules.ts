import { printable } from '../errors/printable.js';

export type Attributes = Readonly<Record<string, unknown>>;

const REQUIRED = ['id', 'source', 'type'] as const;
const TEXTS = [...REQUIRED, 'subject', 'datacontenttype', 'dataschema', 'time'];
const NAME = /^[a-z0-9]+$/;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;
const ABSOLUTE_URI = /^[a-z][a-z0-9+.-]*:\S+$/i;
const URI_REFERENCE = /^\S+$/;
const MOST_SHOWN = 60;

/** The rule of CloudEvents 1.0 that attributes break, in words; undefined: none. */
export function brokenRule(attributes: Attributes): string | undefined {
  const { specversion, time, dataschema, source } = attributes;
  if (specversion !== '1.0') return `«specversion» is «1.0», and not ${shown(specversion)}`;
  const missing = REQUIRED.find((name) => attributes[name] === undefined);
  if (missing !== undefined) return `«${missing}» is required`;
  for (const [name, value] of Object.entries(attributes)) {
    if (!NAME.test(name)) return `names of attributes are lower-case letters and digits, and not ${shown(name)}`;
    if (value !== undefined && !isValue(value)) return `«${name}» is a text, a boolean or a whole number of 32 bits`;
    if (TEXTS.includes(name) && value !== undefined && (typeof value !== 'string' || value === ''))
      return `«${name}» is a text that is not empty`;
  }
  if (!URI_REFERENCE.test(source as string)) return `«source» is a URI or a reference to one, and not ${shown(source)}`;
  if (time !== undefined && !(RFC_3339.test(time as string) && Number.isFinite(Date.parse(time as string))))
    return `«time» is a time of RFC 3339, and not ${shown(time)}`;
  if (dataschema !== undefined && !ABSOLUTE_URI.test(dataschema as string))
    return `«dataschema» is an absolute URI, and not ${shown(dataschema)}`;
  return undefined;
}

function isValue(value: unknown): boolean {
  if (typeof value === 'number') return (value | 0) === value;
  if (typeof value === 'boolean') return true;
  return typeof value === 'string' && !/[\p{Cc}\p{Cs}]/u.test(value);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `«${printable(value.slice(0, MOST_SHOWN))}»` : typeof value;
}

/** Space, `"`, `%` and what is outside of ASCII, as HTTP and NATS have it. */
export function percentEncoded(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** Undefined: it is no UTF-8, or not encoded as it should be. */
export function percentDecoded(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
