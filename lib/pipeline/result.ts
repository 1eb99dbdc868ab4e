import { isObservable, lastValueFrom, type Observable } from 'rxjs';
import { invalidResult } from '../errors/result-checks.js';
import { isThenable } from './thenable.js';

/**
 * What a handler or middleware gave, taken to its end: of an Observable the last value, as Nest does with what a controller
 * gives; for nobody else would subscribe to it. What was awaited from its promise needs the same. It never throws: what
 * cannot be asked whether it can be awaited is a failure, as for `await`.
 */
export function resultOf(result: unknown): unknown {
  if (typeof result !== 'object' || result === null) return result;
  try {
    if (typeof (result as { then?: unknown }).then === 'function') return result;
  } catch (error) {
    return failing(error);
  }
  if (answers(isObservable, result)) return lastOf(result as Observable<unknown>);
  if (!answers(isGenerator, result)) return result;
  return failing(
    invalidResult(
      'The handler',
      result,
      'a value, a promise or an Observable; this one is a generator, which nobody runs',
    ),
  );
}

/** What cannot be looked at is a result like any other. */
function answers(question: (result: object) => boolean, result: object): boolean {
  try {
    return question(result);
  } catch {
    return false;
  }
}

async function failing(error: unknown): Promise<never> {
  throw error;
}

/** The same of the promise of a result, within the async context of who calls this. */
export function wholeResultOf(result: unknown): unknown {
  const own = resultOf(result);
  return isThenable(own) ? Promise.resolve(own).then(resultOf) : own;
}

/** What an Observable emits last can be one again. */
async function lastOf(source: Observable<unknown>): Promise<unknown> {
  let value: unknown = source;
  while (answers(isObservable, value as object))
    value = await lastValueFrom(value as Observable<unknown>, { defaultValue: undefined });
  return value;
}

function isGenerator(result: object): boolean {
  const { next, throw: fail } = result as Partial<Generator>;
  return typeof next === 'function' && typeof fail === 'function' && isIterable(result);
}

function isIterable(result: object): boolean {
  return Symbol.iterator in result || Symbol.asyncIterator in result;
}
