import type { MessagingError } from '../errors/messaging-error.js';

/** The errors that tell who waits already. */
const told = new WeakSet<MessagingError>();

/**
 * Rejects with the error, whose stack then begins with those who wait for it: a publish fails long after its call has
 * returned, and the stack from then leads to the broker's socket. Resolve the promise of the caller with this one.
 *
 * Nothing is kept of a call for that: V8 finds who waits by itself, from this promise over that of the caller to the
 * `await` behind it. A caller that does not await it is not found.
 */
export async function rejection(error: MessagingError): Promise<never> {
  // In the first turn the caller's promise begins to wait for this one; from the second on it can be followed.
  await Promise.resolve();
  await Promise.resolve();
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder);
  throw waitedFor(error, callersIn(holder.stack));
}

/** All but this function's own frame, and those of Node's microtask queue. */
function callersIn(stack: unknown): string[] {
  return framesOf(stack)
    .slice(1)
    .filter((line) => !line.includes('node:internal/'));
}

function framesOf(stack: unknown): string[] {
  return typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s*at /.test(line)) : [];
}

function waitedFor(error: MessagingError, callers: readonly string[]): MessagingError {
  if (callers.length === 0) return error;
  // Several publishes can fail with one error, and each has its own caller.
  const own = told.has(error) ? copyOf(error) : error;
  told.add(own);
  const head = `${own.name}: ${own.message}`;
  Object.defineProperty(own, 'stack', {
    value: [head, ...callers, ...framesOf(error.stack)].join('\n'),
    writable: true,
    configurable: true,
  });
  return own;
}

function copyOf(error: MessagingError): MessagingError {
  return Object.create(
    Object.getPrototypeOf(error) as object,
    Object.getOwnPropertyDescriptors(error),
  ) as MessagingError;
}
