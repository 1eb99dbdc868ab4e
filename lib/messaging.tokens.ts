import { Inject } from '@nestjs/common';
import { DeadLetters } from './dead-letter/dead-letters.js';
import { Messaging } from './messaging.js';
import { Publisher } from './publisher/publisher.js';
import { connectionToken, type ConnectionToken, DEFAULT_CONNECTION } from './transport/connection-token.js';

export { DEFAULT_CONNECTION };

type Token = string | ConnectionToken;

/** The injection token of a connection's publisher; the class itself for the default connection. */
export const getPublisherToken = (connection?: string): Token => connectionToken(Publisher, connection);

export const getMessagingToken = (connection?: string): Token => connectionToken(Messaging, connection);

export const getDeadLettersToken = (connection?: string): Token => connectionToken(DeadLetters, connection);

/** Injects the publisher of a named connection. */
export const InjectPublisher = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getPublisherToken(connection));

/** Injects the `Messaging` of a named connection. */
export const InjectMessaging = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getMessagingToken(connection));

/** Injects the `DeadLetters` of a named connection. */
export const InjectDeadLetters = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getDeadLettersToken(connection));
