/*
 * JSON for values that plain JSON changes: bytes, dates, NaN and infinities, undefined. They are written as an object of
 * one tag; an object that happens to look like one is wrapped, so that every value comes back as it was.
 */

const BYTES = '$bytes';
const DATE = '$date';
const NUMBER = '$number';
const UNDEFINED = '$undefined';
const OBJECT = '$object';
const TAGS: ReadonlySet<string> = new Set([BYTES, DATE, NUMBER, UNDEFINED, OBJECT]);

/** Text that `parseTagged` turns back into an equal value. */
export function stringifyTagged(value: unknown): string {
  return JSON.stringify(isJson(value) ? value : toJson(value));
}

/** Plain JSON keeps it as it is: nearly everything is, and then it need not be copied. */
function isJson(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'object':
      return value === null || (Array.isArray(value) ? value.every(isJson) : isJsonObject(value));
    default:
      return false;
  }
}

function isJsonObject(value: object): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const names = Object.keys(value);
  if (names.length === 1 && TAGS.has(names[0])) return false;
  for (const name of names) if (!isJson((value as Record<string, unknown>)[name])) return false;
  return true;
}

/** @throws SyntaxError */
export function parseTagged(text: string): unknown {
  return fromJson(JSON.parse(text) as unknown);
}

function toJson(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { [NUMBER]: Object.is(value, -0) ? '-0' : String(value) };
    case 'undefined':
      return { [UNDEFINED]: 1 };
    case 'object':
      return value === null ? null : objectToJson(value);
    default:
      throw new TypeError(`A ${typeof value} cannot be stored`);
  }
}

function objectToJson(value: object): unknown {
  if (value instanceof Uint8Array)
    return { [BYTES]: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  if (value instanceof Date) return { [DATE]: toJson(value.getTime()) };
  if (Array.isArray(value)) return value.map(toJson);
  const plain = Object.create(null) as Record<string, unknown>;
  const names = Object.keys(value);
  for (const name of names) plain[name] = toJson((value as Record<string, unknown>)[name]);
  return names.length === 1 && TAGS.has(names[0]) ? { [OBJECT]: plain } : plain;
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJson);
  const names = Object.keys(value);
  const only = names.length === 1 && TAGS.has(names[0]) ? names[0] : undefined;
  const content = only === undefined ? undefined : (value as Record<string, unknown>)[only];
  switch (only) {
    case BYTES:
      return Buffer.from(content as string, 'base64');
    case DATE:
      return new Date(fromJson(content) as number);
    case NUMBER:
      return Number(content);
    case UNDEFINED:
      return undefined;
    default:
      return plainFromJson((only === OBJECT ? content : value) as Record<string, unknown>);
  }
}

function plainFromJson(value: Record<string, unknown>): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  // JSON.parse makes «__proto__» an own property; an assignment would set the prototype.
  for (const name of Object.keys(value))
    Object.defineProperty(plain, name, {
      value: fromJson(value[name]),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  return plain;
}
