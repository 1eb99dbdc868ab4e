import { isDeepStrictEqual } from 'node:util';
import { isObject, type Json } from './json.js';
import { withoutNotes } from './json-schema.js';
import { resolved, type SchemaSource } from './schema-source.js';
import type { SchemaFinding } from './schema-finding.js';
import { type Atom, atomsOf } from './schema-atoms.js';
import { merged } from './schema-merge.js';
import { checkValue, limitsBroken } from './schema-limits.js';

/** Keywords of a reader that are judged as wholes: the same, or nobody can say. */
const WHOLE = [
  'not',
  'if',
  'then',
  'else',
  'patternProperties',
  'propertyNames',
  'contains',
  'dependencies',
  'dependentSchemas',
  'dependentRequired',
  'unevaluatedProperties',
  'unevaluatedItems',
  'prefixItems',
  'additionalItems',
];

/**
 * What of a writer's values a reader would refuse, property by property. A writer writes the properties that its schema
 * names, and no others unless `additionalProperties` says so.
 */
export class SchemaComparison {
  /** Pairs that are being compared: a schema that contains itself is the same question again. */
  private readonly open = new Set<string>();

  constructor(
    private readonly writer: SchemaSource,
    private readonly reader: SchemaSource,
  ) {}

  compare(written: unknown, read: unknown, path = ''): readonly SchemaFinding[] {
    const [from, to] = [resolved(this.writer, written), resolved(this.reader, read)];
    if (to === true || (isObject(to) && Object.keys(withoutNotes(to)).length === 0)) return [];
    if (from === false) return [];
    if (to === false) return [{ verdict: 'breaks', path, text: 'nothing is allowed there any more' }];
    if (!isObject(to)) return [unknown(path, 'a schema that refers to something that is not there')];
    if (from === true || (isObject(from) && Object.keys(withoutNotes(from)).length === 0))
      return [unknown(path, 'anything can be written, and not everything is read')];
    if (!isObject(from)) return [unknown(path, 'a schema that refers to something that is not there')];
    const question = JSON.stringify([from, to]);
    if (this.open.has(question)) return [];
    this.open.add(question);
    const found = this.compareAll(from, to, path);
    this.open.delete(question);
    return found;
  }

  private compareAll(from: Json, to: Json, path: string): readonly SchemaFinding[] {
    const one = merged(from, (part) => resolved(this.writer, part));
    if (!one) return this.writtenByAll(from, to, path);
    const read = merged(to, (part) => resolved(this.reader, part)) ?? to;
    return atomsOf(one, (part) => resolved(this.writer, part)).flatMap((atom) =>
      Array.isArray(atom.schema.allOf) ? this.compareAll(atom.schema, read, path) : this.compareAtom(atom, read, path),
    );
  }

  /** What cannot be made one schema is read as it was, or nobody can say. */
  private writtenByAll(from: Json, to: Json, path: string): readonly SchemaFinding[] {
    if (isDeepStrictEqual(withoutNotes(from), withoutNotes(to)) && !mentions(from, '$ref')) return [];
    return [unknown(path, 'several schemas at once («allOf»)')];
  }

  private compareAtom(atom: Atom, to: Json, path: string): readonly SchemaFinding[] {
    const { anyOf, oneOf, allOf, ...own } = to;
    return [
      ...(Array.isArray(allOf) ? allOf.flatMap((part: unknown) => this.compare(atom.schema, part, path)) : []),
      ...(Array.isArray(anyOf) ? this.readByAny(atom, anyOf, path) : []),
      ...(Array.isArray(oneOf) ? this.readByOne(atom, oneOf, path) : []),
      ...this.compareOwn(atom, own, path),
    ];
  }

  private readByAny(atom: Atom, branches: readonly unknown[], path: string): readonly SchemaFinding[] {
    const tries = branches.map((branch) => this.compare(atom.schema, branch, path));
    const best = tries.sort((one, other) => weight(one) - weight(other))[0] ?? [];
    return weight(best) === 0 || best.every(({ verdict }) => verdict === 'breaks' || verdict === 'unwritten')
      ? best
      : [unknown(path, 'one of several schemas («anyOf»)')];
  }

  /** One has to read it, and no other one may. */
  private readByOne(atom: Atom, branches: readonly unknown[], path: string): readonly SchemaFinding[] {
    const fitting = branches.filter((branch) => weight(this.compare(atom.schema, branch, path)) === 0);
    const others = branches.filter((branch) => !fitting.includes(branch));
    if (fitting.length === 0) return this.readByAny(atom, branches, path);
    const apart = others.every((branch) =>
      areApart(
        atom.schema,
        resolved(this.reader, branch),
        (one) => resolved(this.writer, one),
        (one) => resolved(this.reader, one),
      ),
    );
    if (fitting.length === 1 && apart) return this.compare(atom.schema, fitting[0], path);
    return [unknown(path, 'exactly one of several schemas («oneOf»)')];
  }

  private compareOwn(atom: Atom, to: Json, path: string): readonly SchemaFinding[] {
    const from = atom.schema;
    const whole = WHOLE.filter(
      (key) => key in to && (!isDeepStrictEqual(from[key], to[key]) || mentions(to[key], '$ref')),
    );
    const found: SchemaFinding[] = whole.map((key) => unknown(path, `«${key}»`));
    if ('value' in atom) return [...found, ...checkValue(atom.value, to, path)];
    found.push(...limitsBroken(from, to, path));
    if (from.type === 'object' || from.type === undefined) found.push(...this.properties(from, to, path));
    if ((from.type === 'array' || from.type === undefined) && to.items !== undefined)
      found.push(...this.items(from, to, path));
    return found;
  }

  private items(from: Json, to: Json, path: string): readonly SchemaFinding[] {
    if (!Array.isArray(from.items) && !Array.isArray(to.items))
      return this.compare(from.items ?? true, to.items, `${path}/items`);
    const same = isDeepStrictEqual(from.items, to.items) && !mentions(to.items, '$ref');
    return same ? [] : [unknown(path, 'a list with a schema for each place')];
  }

  private properties(from: Json, to: Json, path: string): readonly SchemaFinding[] {
    const [written, read] = [propertiesOf(from), propertiesOf(to)];
    const [always, needed] = [requiredOf(from), requiredOf(to)];
    const found: SchemaFinding[] = [];
    if (
      isObject(from.patternProperties) &&
      !isDeepStrictEqual(from.patternProperties, to.patternProperties) &&
      (to.properties !== undefined || to.additionalProperties !== undefined)
    )
      found.push(unknown(path, '«patternProperties»'));
    for (const name of needed.filter((one) => !always.includes(one)))
      found.push({
        verdict: 'breaks',
        path: `${path}/${name}`,
        text: Object.hasOwn(written, name)
          ? 'it may be missing, and has to be there for who reads'
          : 'it is not written, and has to be there for who reads',
      });
    for (const [name, schema] of Object.entries(written)) found.push(...this.property(name, schema, to, path));
    for (const [name, schema] of Object.entries(read)) {
      if (Object.hasOwn(written, name)) continue;
      const { additionalProperties: others = false } = from;
      if (others !== false) found.push(...this.compare(others, schema, `${path}/${name}`));
      else if (!needed.includes(name))
        found.push({ verdict: 'unwritten', path: `${path}/${name}`, text: 'it is read, and not written' });
    }
    const { additionalProperties: others = false } = from;
    if (others !== false && to.additionalProperties !== undefined)
      found.push(...this.compare(others, to.additionalProperties, `${path}/*`));
    return found;
  }

  private property(name: string, schema: unknown, to: Json, path: string): readonly SchemaFinding[] {
    const read = propertiesOf(to);
    if (Object.hasOwn(read, name)) return this.compare(schema, read[name], `${path}/${name}`);
    const { additionalProperties: others = true } = to;
    if (others === false)
      return [{ verdict: 'breaks', path: `${path}/${name}`, text: 'it is written, and refused as unknown' }];
    return [
      ...this.compare(schema, others, `${path}/${name}`),
      { verdict: 'unread', path: `${path}/${name}`, text: 'it is written, and not known to who reads' },
    ];
  }
}

/** Whether no value fits both, as far as their types, constants, and those of properties that both have tell. */
function areApart(one: unknown, other: unknown, ofOne: Resolve, ofOther: Resolve): boolean {
  const [a, b] = [ofOne(one), ofOther(other)];
  if (!isObject(a) || !isObject(b)) return false;
  if (typeof a.type === 'string' && typeof b.type === 'string' && a.type !== b.type)
    return !['integer,number', 'number,integer'].includes(`${a.type},${b.type}`);
  if ('const' in a && 'const' in b) return !isDeepStrictEqual(a.const, b.const);
  const [mine, theirs] = [propertiesOf(a), propertiesOf(b)];
  return requiredOf(a).some(
    (name) =>
      Object.hasOwn(mine, name) && Object.hasOwn(theirs, name) && areApart(mine[name], theirs[name], ofOne, ofOther),
  );
}

type Resolve = (schema: unknown) => unknown;

function mentions(value: unknown, key: string): boolean {
  return JSON.stringify(value)?.includes(`"${key}":`) === true;
}

function weight(findings: readonly SchemaFinding[]): number {
  return findings.filter(({ verdict }) => verdict === 'breaks' || verdict === 'unknown').length;
}

function unknown(path: string, what: string): SchemaFinding {
  return { verdict: 'unknown', path, text: `${what}: this cannot be judged` };
}

function propertiesOf({ properties }: Json): Json {
  return isObject(properties) ? properties : {};
}

function requiredOf({ required }: Json): readonly string[] {
  return Array.isArray(required) ? (required as string[]) : [];
}
