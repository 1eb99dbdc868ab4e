import { matchesPattern } from '../transport/topic-pattern.js';

/** Which messages are meant: a route or pattern, or conditions that must all hold. */
export type MessageFilter<T> =
  | string
  | {
      /** A route, or a pattern: `order.*`. */
      readonly route?: string;
      readonly queue?: string;
      /** Where an application has several. */
      readonly connection?: string;
      readonly id?: string;
      readonly where?: (message: T) => boolean;
    };

export interface WaitOptions {
  /** So many messages are waited for. Default 1. */
  readonly count?: number;
  /**
   * So far, in milliseconds, virtual time is moved on for it, from one timer to the next, while no handler runs. 0: it
   * stands still. Default 3,600,000, an hour.
   */
  readonly within?: number;
  /** How long, in real milliseconds, what the application does by itself is waited for. Default 4,000. */
  readonly timeout?: number;
}

/** What was waited for did not happen. The message says what did. */
export class ExpectationError extends Error {
  override readonly name = 'ExpectationError';
}

/** What can be told of a message in one line. */
interface Told {
  readonly connection: string;
  readonly id: string;
  readonly route: string;
  readonly queue: string | undefined;
}

export function filterOf<T extends Told>(filter: MessageFilter<T>): (message: T) => boolean {
  const { route, queue, connection, id, where } = typeof filter === 'string' ? { route: filter } : filter;
  return (message) =>
    (route === undefined || matchesPattern(route, message.route)) &&
    (queue === undefined || message.queue === queue) &&
    (connection === undefined || message.connection === connection) &&
    (id === undefined || message.id === id) &&
    (where === undefined || where(message));
}

/** «order.created» */
export function nameOf<T>(filter: MessageFilter<T>): string {
  if (typeof filter === 'string') return ` on «${filter}»`;
  const { where, ...rest } = filter;
  const parts = Object.entries(rest).map(([name, value]) => `${name} «${value}»`);
  if (where) parts.push('a condition of its own');
  return parts.length > 0 ? ` (${parts.join(', ')})` : '';
}
