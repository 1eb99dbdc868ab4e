import { describe, expect, test } from '@jest/globals';
import { type ChangeVerdict, compareDocuments } from '../../lib/asyncapi/document-comparison.js';
import { SchemaComparison } from '../../lib/asyncapi/schema-comparison.js';
import { describeWithTools } from './tools.js';

type Schema = Record<string, unknown> | boolean;

const object = (properties: Record<string, Schema>, required: string[] = [], more: object = {}): Schema => ({
  type: 'object',
  properties,
  required,
  ...more,
});
const text = { type: 'string' };
const whole = { type: 'integer' };

const both = (...allOf: Schema[]): Schema => ({ allOf });

function documentOf(action: string, payload: Schema, change: Record<string, any> = {}): any {
  const { operation = {}, message = {}, channel = {}, semantics = {}, definitions = {} } = change;
  return {
    asyncapi: '3.1.0',
    channels: {
      a: {
        address: 'shop:a:queue',
        messages: { a: { $ref: '#/components/messages/a' } },
        'x-nestjs-messaging-queue': { routes: ['a'], deadLetter: 'shop:a:dlq' },
        ...channel,
      },
    },
    operations: {
      'A.a': {
        action,
        channel: { $ref: '#/channels/a' },
        messages: [{ $ref: '#/channels/a/messages/a' }],
        'x-nestjs-messaging': { order: 'key', idempotent: {}, deadLetter: {}, durable: true, group: 'g', ...semantics },
        ...operation,
      },
    },
    components: {
      messages: { a: { name: 'a', contentType: 'application/json', payload: { $ref: '#/components/schemas/a' }, ...message } },
      schemas: { a: payload, ...definitions },
    },
  };
} // prettier-ignore

const ORDER: readonly ChangeVerdict[] = ['ok', 'warns', 'unknown', 'breaks'];
function worst(before: unknown, after: unknown): ChangeVerdict {
  const verdicts = compareDocuments(before, after).map(({ verdict }) => verdict);
  return [...ORDER].reverse().find((one) => verdicts.includes(one)) ?? 'ok';
}

/** What changes, the old and the new payload, and the verdict on what is sent and on what is received. */
const PAYLOADS: readonly (readonly [string, Schema, Schema, ChangeVerdict, ChangeVerdict])[] = [
  ['nothing', object({ a: text }), object({ a: text }), 'ok', 'ok'],
  ['an optional property is added', object({}), object({ a: text }), 'ok', 'ok'],
  ['a required property is added', object({}), object({ a: text }, ['a']), 'ok', 'breaks'],
  ['a property is added that the old one refused as unknown', object({}, [], { additionalProperties: false }), object({ a: text }), 'breaks', 'ok'],
  ['a required property is removed', object({ a: text }, ['a']), object({}), 'breaks', 'ok'],
  ['an optional property is removed', object({ a: text }), object({}), 'warns', 'ok'],
  ['a property is removed, and refused as unknown', object({ a: text }), object({}, [], { additionalProperties: false }), 'warns', 'breaks'],
  ['required becomes optional', object({ a: text }, ['a']), object({ a: text }), 'breaks', 'ok'],
  ['optional becomes required', object({ a: text }), object({ a: text }, ['a']), 'ok', 'breaks'],
  ['a type is another one', object({ a: text }), object({ a: whole }), 'breaks', 'breaks'],
  ['a type is widened', object({ a: whole }), object({ a: { type: 'number' } }), 'breaks', 'ok'],
  ['a type is narrowed', object({ a: { type: 'number' } }), object({ a: whole }), 'ok', 'breaks'],
  ['null is allowed as well', object({ a: text }), object({ a: { type: ['string', 'null'] } }), 'breaks', 'ok'],
  ['null is allowed as well, the other way to say it', object({ a: text }), object({ a: { anyOf: [text, { type: 'null' }] } }), 'breaks', 'ok'],
  ['a format is another one', { type: 'string', format: 'date' }, { type: 'string', format: 'date-time' }, 'breaks', 'breaks'],
  ['a constant is another one', { const: 1 }, { const: 2 }, 'breaks', 'breaks'],
  ['a value is added to an enum', { enum: ['a'] }, { enum: ['a', 'b'] }, 'breaks', 'ok'],
  ['a value is removed from an enum', { enum: ['a', 'b'] }, { enum: ['a'] }, 'ok', 'breaks'],
  ['an enum becomes any text', { type: 'string', enum: ['a'] }, text, 'breaks', 'ok'],
  ['a minimum is lowered', { type: 'number', minimum: 1 }, { type: 'number', minimum: 0 }, 'breaks', 'ok'],
  ['a minimum is raised', { type: 'number', minimum: 0 }, { type: 'number', minimum: 1 }, 'ok', 'breaks'],
  ['a limit from above is taken away', { type: 'number', maximum: 5 }, { type: 'number' }, 'breaks', 'ok'],
  ['an exclusive minimum becomes inclusive', { type: 'number', exclusiveMinimum: 0 }, { type: 'number', minimum: 0 }, 'breaks', 'ok'],
  ['a length is bounded', text, { type: 'string', maxLength: 5 }, 'ok', 'breaks'],
  ['a pattern is asked for', text, { type: 'string', pattern: '^a' }, 'ok', 'breaks'],
  ['a list gets a longest length', { type: 'array', items: text }, { type: 'array', items: text, maxItems: 2 }, 'ok', 'breaks'],
  ['what is in a list is another type', { type: 'array', items: text }, { type: 'array', items: whole }, 'breaks', 'breaks'],
  ['what is deep inside becomes required', { type: 'array', items: object({ a: text }) }, { type: 'array', items: object({ a: text }, ['a']) }, 'ok', 'breaks'],
  ['values of a record are another type', { type: 'object', additionalProperties: text }, { type: 'object', additionalProperties: whole }, 'breaks', 'breaks'],
  ['a kind is added to a union', { oneOf: [object({ k: { const: 'a' } }, ['k'])] }, { oneOf: [object({ k: { const: 'a' } }, ['k']), object({ k: { const: 'b' } }, ['k'])] }, 'breaks', 'ok'],
  ['a union is in another order', { anyOf: [text, whole] }, { anyOf: [whole, text] }, 'ok', 'ok'],
  ['a condition is another one', { type: 'object', if: { required: ['a'] } }, { type: 'object', if: { required: ['b'] } }, 'unknown', 'unknown'],
  ['there was no schema', {}, object({ a: text }), 'ok', 'unknown'],
  ['there is no schema any more', object({ a: text }), {}, 'unknown', 'ok'],
  ['descriptions and examples', { type: 'string', description: 'a' }, { type: 'string', examples: ['b'] }, 'ok', 'ok'],
  ['in one of several schemas at once a type is another one', both(object({ a: whole }), object({ b: text })), both(object({ a: text }), object({ b: text })), 'breaks', 'breaks'],
  ['several schemas at once are said as one', both(object({ a: whole }, ['a'], { title: 'A' }), object({ b: text }, [], { title: 'B' })), object({ a: whole, b: text }, ['a']), 'ok', 'ok'],
  ['of several schemas at once one is not known any more', both(object({ a: whole }), object({ b: text })), object({ b: text }, [], { additionalProperties: false }), 'warns', 'breaks'],
  ['beside alternatives a type is another one', { ...object({ a: whole }) as object, anyOf: [object({ b: text })] }, { ...object({ a: text }) as object, anyOf: [object({ b: text })] }, 'breaks', 'breaks'],
  ['beside alternatives something is always there', { ...object({ a: text, b: text }, ['a']) as object, anyOf: [{ required: ['b'] }] }, object({ a: text, b: text }, ['a', 'b']), 'ok', 'ok'],
  ['properties by pattern are refused', { type: 'object', patternProperties: { '^x': whole } }, { type: 'object', additionalProperties: false }, 'unknown', 'unknown'],
  ['a constant is what must not be', { const: 'a' }, { type: 'string', not: { const: 'a' } }, 'breaks', 'unknown'],
  ['a value has to fit a pattern of another dialect', { enum: ['a'] }, { type: 'string', pattern: '^[\\w-.]+$' }, 'breaks', 'unknown'],
  ['a list may be written without a type', { minLength: 1 }, { items: text }, 'breaks', 'unknown'],
  ['a property has the name of one that all objects have', object({}), object({ toString: text }, ['toString']), 'ok', 'breaks'],
  ['an integer limited by itself', { type: 'integer', multipleOf: 4 }, { type: 'integer', multipleOf: 2 }, 'breaks', 'ok'],
]; // prettier-ignore

describe('a payload', () => {
  test.each(PAYLOADS)('%s', (_, old, young, sent, received) => {
    expect({
      sent: worst(documentOf('send', old), documentOf('send', young)),
      received: worst(documentOf('receive', old), documentOf('receive', young)),
    }).toEqual({ sent, received });
  });

  test('a change behind a reference, and in a schema that contains itself, is seen', () => {
    const tree = (leaf: Schema): Schema => object({ leaf, next: { $ref: '#/components/schemas/a' } }, ['leaf']);
    expect(worst(documentOf('receive', tree(text)), documentOf('receive', tree(text)))).toBe('ok');
    const changes = compareDocuments(documentOf('receive', tree(text)), documentOf('receive', tree(whole)));
    expect(changes).toMatchObject([{ verdict: 'breaks', id: 'receive shop:a:queue a /leaf breaks' }]);
  });

  test('a finding names the place and both sides', () => {
    const [change] = compareDocuments(
      documentOf('receive', object({ lines: { type: 'array', items: object({ price: text }) } })),
      documentOf('receive', object({ lines: { type: 'array', items: object({ price: whole }) } })),
    );
    expect(change).toEqual({
      verdict: 'breaks',
      id: 'receive shop:a:queue a /lines/items/price breaks',
      text: 'what waits: string is written, and integer is read',
    });
  });
});

describe('what is around the payload', () => {
  const whatChanges: readonly (readonly [string, object, object, ChangeVerdict, string?])[] = [
    ['the queue has another name', {}, { channel: { address: 'shop:b:queue' } }, 'breaks', 'npx nestjs-messaging queues'],
    ['a route leads there no more', {}, { channel: { 'x-nestjs-messaging-queue': { routes: [], deadLetter: 'shop:a:dlq' } } }, 'breaks'],
    ['the dead-letter queue has another name', {}, { channel: { 'x-nestjs-messaging-queue': { routes: ['a'], deadLetter: 'b' } } }, 'breaks'],
    ['the exchange is another one', {}, { channel: { bindings: { amqp: { exchange: 'b' } } } }, 'breaks'],
    ['the group is another one', {}, { semantics: { group: 'h' } }, 'breaks'],
    ['the content type is another one', {}, { message: { contentType: 'application/cloudevents+json' } }, 'breaks'],
    ['the message has another name', {}, { message: { name: 'b' } }, 'breaks'],
    ['the order is weaker', {}, { semantics: { order: 'none' } }, 'warns'],
    ['the order is stronger', { semantics: { order: 'none' } }, {}, 'ok'],
    ['idempotency is taken off', {}, { semantics: { idempotent: false } }, 'warns'],
    ['idempotency is added', { semantics: { idempotent: false } }, {}, 'ok'],
    ['dead letters are not kept any more', {}, { channel: { 'x-nestjs-messaging-queue': { routes: ['a'] } }, semantics: { deadLetter: false } }, 'warns'],
    ['dead letters are kept from now on', { channel: { 'x-nestjs-messaging-queue': { routes: ['a'] } }, semantics: { deadLetter: false } }, {}, 'ok'],
    ['what nobody takes is dropped', {}, { semantics: { unroutable: 'ignore' } }, 'warns'],
    ['numbers', {}, { semantics: { prefetch: 5 } }, 'ok'],
    ['words', {}, { operation: { summary: 'b' } }, 'ok'],
  ]; // prettier-ignore

  test.each(whatChanges)('%s', (_, old, young, verdict, told = '') => {
    const [before, after] = [documentOf('receive', text, old), documentOf('receive', text, young)];
    expect(worst(before, after)).toBe(verdict);
    expect(compareDocuments(before, after).map(({ text: words }) => words).join()).toContain(told); // prettier-ignore
    expect(compareDocuments(before, before)).toEqual([]);
  });

  test('a route that is sent to two exchanges is two, and one of them can end', () => {
    const at = (topic: string): object => ({ address: 'a', servers: [{ $ref: '#/servers/default' }], 'x-nestjs-messaging-route': { route: 'a', topic } });
    const send = (key: string): object => ({ action: 'send', channel: { $ref: `#/channels/${key}` } });
    const sent = (operations: object): object => ({ asyncapi: '3.1.0', servers: { default: { 'x-nestjs-messaging-topic': 'own' } }, channels: { a: at('own'), b: at('other') }, operations });
    const changes = compareDocuments(sent({ a: send('a'), b: send('b') }), sent({ b: send('b') }));
    expect(changes).toMatchObject([{ verdict: 'breaks', id: 'send a removed' }]);
    const [other] = compareDocuments(sent({ a: send('a'), b: send('b') }), sent({ a: send('a') }));
    expect(other).toMatchObject({ verdict: 'breaks', id: 'send other/a removed' });
  }); // prettier-ignore

  test('a handler is added or taken away', () => {
    const [none, one] = [{ ...documentOf('send', text), operations: {} }, documentOf('send', text)];
    expect(compareDocuments(none, one)).toMatchObject([{ verdict: 'ok', id: 'send shop:a:queue added' }]);
    expect(compareDocuments(one, none)).toMatchObject([{ verdict: 'breaks', id: 'send shop:a:queue removed' }]);
  });

  test('the name of a class or method is nobody’s business', () => {
    const [one, other] = [documentOf('receive', text), documentOf('receive', text)];
    other.operations = { 'B.b': other.operations['A.a'] };
    expect(worst(one, other)).toBe('ok');
  });

  test('a connection whose name was written by hand, with a bare percent sign, is one', () => {
    const of = (server: string): unknown => documentOf('send', text, { channel: { servers: [{ $ref: `#/servers/${server}` }] } }); // prettier-ignore
    expect(compareDocuments(of('100%'), of('a'))).toMatchObject([{ id: 'send shop:a:queue@100% removed' }, { id: 'send shop:a:queue@a added' }]); // prettier-ignore
  });

  test('what is no document is refused', () => {
    expect(() => compareDocuments({}, documentOf('send', text))).toThrow('The old document is no AsyncAPI 3 document');
  });
});

/** Numbers that look random and are the same in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describeWithTools('random schemas and values', (load) => {
  test('what is called readable is accepted by the new schema, whatever the old one lets be written', () => {
    const Ajv = load<any>('ajv').default;
    const ajv = new Ajv({ strict: false, logger: false });
    const random = seeded(Number(process.env.SEED ?? 4711));
    const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
    const some = <T>(list: readonly T[]): T[] => list.filter(() => random() < 0.5);
    const values = ['', 'a', 'abc', 'abcdef', -1, 0, 1, 2, 2.5, 7, null, true, false, [], ['a'], [1, 2, 3], {}];

    function schema(depth: number): any {
      const kind = one(['string', 'number', 'integer', 'boolean', 'null', 'enum', 'const', 'object', 'array', 'union', 'type', 'any']); // prettier-ignore
      const limits = (names: string[]): object => Object.fromEntries(some(names).map((name) => [name, one([0, 1, 2, 3])])); // prettier-ignore
      if (kind === 'enum') return { enum: [...new Set([...some(values), one(values)])] };
      if (kind === 'const') return { const: one(values) };
      if (kind === 'type') return { type: ['string', one(['null', 'integer'])] };
      if (kind === 'any') return one([true, {}]);
      if (kind === 'union' && depth > 0) return { [one(['anyOf', 'oneOf', 'allOf'])]: [schema(depth - 1), schema(depth - 1)] }; // prettier-ignore
      if (kind === 'array' && depth > 0) return { type: 'array', items: schema(depth - 1), ...limits(['minItems', 'maxItems']) }; // prettier-ignore
      if (kind === 'object' && depth > 0) {
        const names = some(['a', 'b', 'c']);
        const properties = Object.fromEntries(names.map((name) => [name, schema(depth - 1)]));
        const others = one([{}, {}, { additionalProperties: false }, { additionalProperties: schema(0) }]);
        return { type: 'object', properties, required: some(['a', 'b', 'c']), ...others };
      }
      if (kind === 'number' || kind === 'integer') return { type: kind, ...limits(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']) }; // prettier-ignore
      if (kind === 'string') return { type: kind, ...limits(['minLength', 'maxLength']), ...(random() < 0.2 && { pattern: '^a' }) }; // prettier-ignore
      return { type: kind === 'union' || kind === 'array' || kind === 'object' ? 'string' : kind };
    }
    /** A schema that is a little different. */
    function changed(given: any): any {
      if (typeof given !== 'object' || given === null || random() < 0.1) return schema(1);
      const copy = structuredClone(given);
      const key = one(Object.keys(copy));
      if (['anyOf', 'oneOf', 'allOf'].includes(key) && random() < 0.7) copy[key] = copy[key].map(changed);
      else if (Array.isArray(copy[key]) && key !== 'enum') copy[key] = copy[key].slice(1);
      else if (key === 'items') copy.items = changed(copy.items);
      else if (key === 'properties')
        for (const name of some(Object.keys(copy.properties))) copy.properties[name] = changed(copy.properties[name]);
      else if (typeof copy[key] === 'number' && key !== 'const') copy[key] = one([0, 1, 2, 3]);
      else if (key !== undefined && random() < 0.5) delete copy[key];
      if (copy.anyOf?.length === 0 || copy.oneOf?.length === 0 || copy.allOf?.length === 0 || copy.type?.length === 0) return schema(1); // prettier-ignore
      return copy;
    }
    /** A value that a writer of this schema might write: no properties that it does not name. */
    function value(given: any): any {
      if (typeof given !== 'object') return one(values);
      if (given.enum) return one(given.enum);
      if ('const' in given) return given.const;
      const branch = given.anyOf ?? given.oneOf ?? given.allOf;
      if (branch) return value(one(branch));
      if (given.type === 'array') return Array.from({ length: Math.floor(random() * 4) }, () => value(given.items));
      if (given.type === 'object') {
        const names = Object.keys(given.properties).filter((name) => given.required.includes(name) || random() < 0.5);
        const own = Object.fromEntries(names.map((name) => [name, value(given.properties[name])]));
        const others = given.additionalProperties;
        return others && random() < 0.5 ? { ...Object.fromEntries(some(['a', 'b', 'c', 'd']).map((name) => [name, value(others)])), ...own } : own; // prettier-ignore
      }
      return one(values);
    }

    let [readable, tried] = [0, 0];
    for (let round = 0; round < Number(process.env.ROUNDS ?? 600); round++) {
      const first = schema(2);
      const [old, young] = random() < 0.5 ? [first, changed(first)] : [changed(first), first];
      const findings = new SchemaComparison(old, young).compare(old, young);
      if (findings.some(({ verdict }) => verdict === 'breaks' || verdict === 'unknown')) continue;
      readable++;
      const [writes, reads] = [ajv.compile(old), ajv.compile(young)];
      for (let at = 0; at < 12; at++) {
        const written = value(old);
        if (!writes(written)) continue;
        tried++;
        if (!reads(written)) throw new Error(`called readable, and refused: ${JSON.stringify({ old, young, written })}`); // prettier-ignore
      }
    }
    expect({ readable, tried }).toEqual({ readable: expect.any(Number), tried: expect.any(Number) });
    expect(Math.min(readable, tried)).toBeGreaterThan(100);
  });

  test('what is called readable in one of several forms is taken by a form that the new document reads', () => {
    const random = seeded(Number(process.env.SEED ?? 4711));
    const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
    const Ajv = load<any>('ajv').default;
    const ajv = new Ajv({ strict: false, logger: false });
    const payloads = [text, whole, object({ a: text }, ['a']), object({ a: text, b: whole }, ['a', 'b'])];
    const values = ['a', 1, { a: 'x' }, { a: 'x', b: 1 }, {}];
    const form = (): any => ({
      contentType: one(['application/json', 'application/cloudevents+json', 'text/plain']),
      payload: one(payloads),
      headers: { type: 'object', required: one([[], [], ['x-a'], ['x-a', 'x-b']]) },
    });
    const isTaken = (forms: any[], { contentType, headers }: any, written: unknown): boolean =>
      forms.some(
        (reader) =>
          reader.contentType === contentType &&
          reader.headers.required.every((name: string) => headers.required.includes(name)) &&
          ajv.validate(reader.payload, written),
      );
    const documentWith = ([first, ...others]: any[]): any =>
      documentOf('receive', first.payload, { message: { ...first, ...(others.length > 0 && { 'x-nestjs-messaging-accepts': others }) } }); // prettier-ignore
    const verdicts = { ok: 0, breaks: 0 };
    for (let round = 0; round < 2_000; round++) {
      const old = [form(), ...(random() < 0.3 ? [form()] : [])];
      const young = [...(random() < 0.5 ? old : []), form(), ...(random() < 0.5 ? [form()] : [])].reverse();
      const verdict = worst(documentWith(old), documentWith(young));
      verdicts[verdict as 'ok']++;
      const written = old.flatMap((way) => values.filter((value) => ajv.validate(way.payload, value)).map((value) => [way, value])); // prettier-ignore
      const refused = written.filter(([way, value]) => !isTaken(young, way, value));
      if (verdict === 'ok') expect(refused).toEqual([]);
      else expect(refused).not.toEqual([]);
    }
    expect(Math.min(verdicts.ok, verdicts.breaks)).toBeGreaterThan(200);
  });
});
