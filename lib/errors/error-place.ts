import type { MessagingError } from './messaging-error.js';

/** Puts in front of an error's message what in the application it is about. Its stack, which loggers print, begins so as well. */
export function placed<E extends MessagingError>(error: E, place: string): E {
  const { message, stack } = error;
  error.message = `${place}: ${message}`;
  if (stack !== undefined) error.stack = stack.replace(message, () => error.message);
  return error;
}
