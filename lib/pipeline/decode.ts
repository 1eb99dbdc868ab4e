import { UndecodableMessageError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { WireMessage } from '../message/message.js';
import { jsonSerializer, type Serializer } from '../message/serializer.js';

/** The payload of a message. @throws UndecodableMessageError whatever the serializer threw */
export function decode(message: WireMessage, serializer: Serializer): unknown {
  try {
    const { body, properties } = message;
    if (serializer === jsonSerializer) return serializer.deserialize(body, properties);
    // Another one may keep what it is handed, or return parts of it as bytes.
    return serializer.deserialize(Buffer.from(body), Object.freeze(properties));
  } catch (thrown) {
    const cause = thrownValue(thrown);
    if (cause instanceof UndecodableMessageError) throw cause;
    throw new UndecodableMessageError(`The serializer could not read the body: ${errorMessage(cause)}`, { cause });
  }
}
