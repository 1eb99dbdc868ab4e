import { SubscriptionConflictError } from './configuration-errors.js';

/**
 * Whether a decorator was put on a method of instances: whatever else it is put on would never be called.
 * @throws SubscriptionConflictError, with its place
 */
export function checkMethod(
  decorators: string,
  purpose: string,
  target: unknown,
  property: unknown,
  descriptor: PropertyDescriptor | undefined,
): void {
  const need = decorators.includes(' and ') ? 'need' : 'needs';
  if (typeof property === 'object' && property !== null)
    throw new SubscriptionConflictError(
      `${decorators} ${need} «experimentalDecorators» in tsconfig.json, as all decorators of Nest do: «${String((property as { name?: unknown }).name)}» was decorated without`,
    );
  const owner = target as Record<string | symbol, unknown>;
  const value: unknown = descriptor ? descriptor.value : owner[property as string | symbol];
  if (typeof target === 'function' || typeof property !== 'string' || typeof value !== 'function')
    throw new SubscriptionConflictError(
      `${placeOf(target, property as PropertyKey | undefined)} cannot ${purpose}: ${decorators} ${need === 'need' ? 'are' : 'is'} for methods of instances, not for static ones, properties, accessors, classes, or methods named by a symbol`,
    );
}

/** `Orders.onCreated`. */
function placeOf(target: unknown, property: PropertyKey | undefined): string {
  const isStatic = typeof target === 'function';
  const type = isStatic ? target : (target as object | undefined)?.constructor;
  const name = type?.name || 'an unnamed class';
  if (property === undefined) return `The class ${name}`;
  return `${name}.${String(property)}${isStatic ? ' (static)' : ''}`;
}
