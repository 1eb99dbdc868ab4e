import { UndecodableMessageError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import { invalidResult } from '../errors/result-checks.js';
import { thrownValue } from '../errors/thrown-value.js';
import { Decoded } from '../message/decoded.js';
import { header, stringHeader } from '../message/headers.js';
import { viewOf } from '../message/isolate.js';
import type { WireMessage } from '../message/message.js';
import { jsonSerializer, type Serializer } from '../message/serializer.js';
import { isThenable } from './thenable.js';

/** What its serializer makes of a message: the payload, or a `Decoded`. @throws UndecodableMessageError whatever it threw */
export function decode(message: WireMessage, serializer: Pick<Serializer, 'deserialize'>): unknown {
  try {
    if (serializer === jsonSerializer) return jsonSerializer.deserialize(message.body, message.properties);
    // Another serializer may keep what it is handed, or return parts of it as bytes.
    const view = viewOf(message);
    const decoded = serializer.deserialize(view.body, view.properties, view);
    if (!isThenable(decoded)) return decoded;
    throw invalidResult('«serializer.deserialize»', decoded, 'the payload itself');
  } catch (thrown) {
    const cause = thrownValue(thrown);
    if (cause instanceof UndecodableMessageError) throw cause;
    throw new UndecodableMessageError(`The serializer could not read the body: ${errorMessage(cause)}`, { cause });
  }
}

/** The payload of a message. @throws UndecodableMessageError */
export function payloadOf(message: WireMessage, serializer: Serializer): unknown {
  const decoded = decode(message, serializer);
  return decoded instanceof Decoded ? decoded.payload : decoded;
}

/** The key of a message: what it was published with, or else what its body says; undefined where that cannot be read. */
function keyOf(message: WireMessage, serializer: Serializer): string | undefined {
  const key = stringHeader(message.headers, header.key);
  if (key !== undefined || serializer === jsonSerializer) return key;
  try {
    const decoded = decode(message, serializer);
    return decoded instanceof Decoded ? decoded.fields.key : undefined;
  } catch {
    return undefined;
  }
}

/** How a subscription reads what it schedules by. */
export function readersOf(serializer: Serializer): {
  decode(message: WireMessage): unknown;
  keyOf(message: WireMessage): string | undefined;
} {
  return { decode: (message) => payloadOf(message, serializer), keyOf: (message) => keyOf(message, serializer) };
}
