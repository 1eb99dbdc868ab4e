import { Inject } from '@nestjs/common';
import { DeadLetters } from './dead-letter/dead-letters.js';
import { Messaging } from './messaging.js';
import { Publisher } from './publisher/publisher.js';

/** The name of the connection that has none. */
export const DEFAULT_CONNECTION = 'default';

type Token = string | symbol | (abstract new (...args: never[]) => unknown);

/** The injection token of a connection's publisher; the class itself for the default connection. */
export const getPublisherToken = (connection: string = DEFAULT_CONNECTION): Token => tokenOf(Publisher, connection);

export const getMessagingToken = (connection: string = DEFAULT_CONNECTION): Token => tokenOf(Messaging, connection);

export const getDeadLettersToken = (connection: string = DEFAULT_CONNECTION): Token => tokenOf(DeadLetters, connection);

/** Injects the publisher of a named connection. */
export const InjectPublisher = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getPublisherToken(connection));

/** Injects the `Messaging` of a named connection. */
export const InjectMessaging = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getMessagingToken(connection));

/** Injects the `DeadLetters` of a named connection. */
export const InjectDeadLetters = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getDeadLettersToken(connection));

function tokenOf(type: abstract new (...args: never[]) => unknown, connection: string): Token {
  return connection === DEFAULT_CONNECTION ? type : Symbol.for(`nestjs-messaging:${type.name}:${connection}`);
}
