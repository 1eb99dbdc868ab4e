import type { ModuleRef } from '@nestjs/core';
import { InvalidOptionError } from './errors/configuration-errors.js';
import type { Messaging } from './messaging.js';
import { getMessagingToken } from './messaging.tokens.js';

/** What an application has of a connection that an option names. @throws InvalidOptionError when there is none */
export function messagingOf(moduleRef: ModuleRef, option: string, connection: string | undefined): Messaging {
  try {
    return moduleRef.get<Messaging>(getMessagingToken(connection), { strict: false });
  } catch {
    throw new InvalidOptionError(option, connection, 'the name of a connection that a MessagingModule provides');
  }
}
