import type { Messaging } from './messaging.js';
import type { MessagingModuleOptions } from './messaging.options.js';

/**
 * Puts something else in place of what an application asks for, where a provider of this token can be injected: that is
 * how `MessagingTestingModule` takes the place of brokers. Production code has none.
 */
export const MESSAGING_SUBSTITUTE = Symbol.for('nestjs-messaging:substitute');

export interface MessagingSubstitute {
  /** The options of a connection, checked, to be used instead of those given. */
  substitute(connection: string, options: MessagingModuleOptions): MessagingModuleOptions;
  /** The connection was made of these options, and does nothing yet. */
  created(messaging: Messaging): void;
}
