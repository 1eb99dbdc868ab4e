import { header } from '../message/headers.js';
import type { Serializer } from '../message/serializer.js';
import type { Messaging } from '../messaging.js';
import type { TransportDescription } from '../transport/description.js';
import type { Transport } from '../transport/transport.js';
import { type Json, pointerTo } from './json.js';
import type { MessageFacts } from './message-registry.js';

/** What the schema of our headers is called. */
export const HEADERS = 'nestjs-messaging-headers';

const number = (description: string): Json => ({ type: 'integer', description });
export const OWN_HEADERS: Json = {
  type: 'object',
  description: 'Headers of nestjs-messaging; those of the application come beside them.',
  properties: {
    [header.version]: number('Version of these headers.'),
    [header.time]: number('When the message was first published, in milliseconds since the epoch.'),
    [header.key]: { type: 'string', description: 'Messages of one key keep their order.' },
    [header.expiresAt]: number('After this time no handler is called.'),
    [header.notBefore]: number('Before this time no handler is called.'),
  },
};

export function protocolOf({ system, description }: Transport): TransportDescription {
  return description ?? { protocol: system };
}

/** What all messages of a connection have; `own`: the serializer of a contract or subscription. */
export function factsOf({ described }: Messaging, own?: Serializer): MessageFacts {
  const { transport, serializer } = described;
  const { correlationHeader } = protocolOf(transport);
  const writes = own ?? serializer;
  return {
    ...(writes.describe && { describe: (route, payload) => writes.describe!(route, payload) }),
    ...(correlationHeader !== undefined && { correlationId: { location: `$message.header#/${correlationHeader}` } }),
    headers: { $ref: pointerTo('components', 'schemas', HEADERS) },
  };
}
