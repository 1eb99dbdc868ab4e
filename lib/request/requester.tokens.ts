import { Inject } from '@nestjs/common';
import { connectionToken, type ConnectionToken } from '../transport/connection-token.js';
import { Requester } from './requester.js';

/** The injection token of a connection's requester; the class itself for the default connection. */
export const getRequesterToken = (connection?: string): ConnectionToken<Requester> =>
  connectionToken(Requester, connection);

/** Injects the `Requester` of a named connection. */
export const InjectRequester = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getRequesterToken(connection));
