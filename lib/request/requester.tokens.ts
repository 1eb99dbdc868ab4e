import { Inject } from '@nestjs/common';
import { Requester } from './requester.js';

/** The injection token of a connection's requester; the class itself for the default connection. */
export const getRequesterToken = (connection = 'default'): typeof Requester | symbol =>
  connection === 'default' ? Requester : Symbol.for(`nestjs-messaging:Requester:${connection}`);

/** Injects the `Requester` of a named connection. */
export const InjectRequester = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getRequesterToken(connection));
