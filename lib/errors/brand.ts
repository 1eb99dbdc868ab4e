const BRAND = Symbol.for('nestjs-messaging:brand');
const COPIES = Symbol.for('nestjs-messaging:copies');

/**
 * Makes `instanceof` of these classes hold over all copies of the package in a process: an application of several packages
 * can have several, and what one of them makes another one decides by. A class that extends one of them, and is not
 * branded itself, is told by its identity, as any class.
 */
export function brand(classes: Readonly<Record<string, { readonly prototype: object }>>): void {
  for (const [name, type] of Object.entries(classes)) {
    const mark = Symbol.for(`nestjs-messaging:${name}`);
    copiesOf(mark).add(type);
    Object.defineProperty(type, BRAND, { value: mark });
    Object.defineProperty(type.prototype, mark, { value: true });
    Object.defineProperty(type, Symbol.hasInstance, { value: isInstance });
  }
}

/** What a branded class is in the other copies of the package that are loaded. */
export function otherCopiesOf<Type extends object>(type: Type): Type[] {
  const mark = (type as { [BRAND]?: symbol })[BRAND];
  return mark === undefined ? [] : ([...copiesOf(mark)].filter((copy) => copy !== type) as Type[]);
}

function copiesOf(mark: symbol): Set<object> {
  const shared = globalThis as { [COPIES]?: Map<symbol, Set<object>> };
  const all = (shared[COPIES] ??= new Map<symbol, Set<object>>());
  const copies = all.get(mark) ?? new Set();
  all.set(mark, copies);
  return copies;
}

function isInstance(this: object, value: unknown): boolean {
  const mark = Object.hasOwn(this, BRAND) ? (this as Record<symbol, symbol>)[BRAND] : undefined;
  if (mark === undefined) return Function.prototype[Symbol.hasInstance].call(this, value);
  // A prototype is no instance of its own class.
  return typeof value === 'object' && value !== null && mark in value && !Object.hasOwn(value, mark);
}
