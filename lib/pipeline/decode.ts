import { UndecodableMessageError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import { invalidResult } from '../errors/result-checks.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { WireMessage } from '../message/message.js';
import { jsonSerializer, type Serializer } from '../message/serializer.js';
import { isThenable } from './thenable.js';

/** The payload of a message. @throws UndecodableMessageError whatever the serializer threw */
export function decode(message: WireMessage, serializer: Serializer): unknown {
  try {
    const { body, properties } = message;
    if (serializer === jsonSerializer) return serializer.deserialize(body, properties);
    // Another serializer may keep what it is handed, or return parts of it as bytes.
    const payload = serializer.deserialize(Buffer.from(body), Object.freeze(properties));
    if (!isThenable(payload)) return payload;
    throw invalidResult('«serializer.deserialize»', payload, 'the payload itself');
  } catch (thrown) {
    const cause = thrownValue(thrown);
    if (cause instanceof UndecodableMessageError) throw cause;
    throw new UndecodableMessageError(`The serializer could not read the body: ${errorMessage(cause)}`, { cause });
  }
}
