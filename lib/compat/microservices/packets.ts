import type {
  ConsumerDeserializer,
  ConsumerSerializer,
  IncomingRequest,
  ReadPacket,
  WritePacket,
} from '@nestjs/microservices';
import { UndecodableMessageError } from '../../errors/handling-errors.js';
import { errorMessage } from '../../errors/redact.js';
import { Decoded } from '../../message/decoded.js';
import type { MessageProperties } from '../../message/message.js';
import type { DeserializeContext, SerializedPayload, Serializer } from '../../message/serializer.js';
import { isThenable } from '../../pipeline/thenable.js';
import { nestEnvelope } from '../../serializers/nest-envelope.js';

/** Nest's own seam for bodies, where an application has one. */
export interface PacketSerializers {
  readonly serializer?: ConsumerSerializer;
  readonly deserializer?: ConsumerDeserializer;
}

type Packet = ReadPacket<unknown> & Partial<IncomingRequest>;

/** A packet of a deserializer that takes its time; the handler waits for it. */
export class PendingPacket {
  constructor(readonly decoded: Promise<Decoded>) {
    // It is looked at later.
    decoded.catch(() => undefined);
  }
}

/**
 * Reads what Nest's clients send, and writes the replies that they understand. What is not in Nest's envelope is the payload
 * of an event whose pattern is its route.
 */
export function packetSerializer({ serializer, deserializer }: PacketSerializers = {}): Serializer {
  const envelope = nestEnvelope({ allowEmpty: true });
  return {
    ...envelope,
    deserialize(body, properties, message) {
      if (!deserializer) return envelope.deserialize(body, properties, message);
      const packet = deserializer.deserialize(parsed(body), { ...properties, headers: message.headers }) as
        Packet | Promise<Packet>;
      if (!isThenable(packet)) return decoded(packet, properties, message);
      const later = Promise.resolve(packet).then((one) => decoded(one, properties, message));
      return new Decoded(new PendingPacket(later.catch(unreadable)));
    },
    replies: {
      ...envelope.replies!,
      serialize: ({ value, error }) =>
        writtenReply(error ? { err: { status: 'error', ...error }, isDisposed: true } : (value as Reply), serializer),
    },
  };
}

/** What a request is answered with, one packet for each value. */
export type Reply = WritePacket & { readonly status?: string };

function writtenReply(packet: Reply, serializer?: ConsumerSerializer): SerializedPayload {
  const { options, ...written } = (serializer ? serializer.serialize(packet as never) : packet) as Reply & {
    options?: { headers?: SerializedPayload['headers']; contentType?: string };
  };
  const { headers, contentType = 'application/json' } = options ?? {};
  return { body: Buffer.from(JSON.stringify(written)), contentType, ...(headers && { headers }) };
}

function unreadable(cause: unknown): never {
  if (cause instanceof UndecodableMessageError) throw cause;
  throw new UndecodableMessageError(`The deserializer could not read the body: ${errorMessage(cause)}`, { cause });
}

/** As Nest hands a body to a deserializer. */
export function parsed(body: Buffer): unknown {
  const text = body.toString();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** A packet without a pattern is an event of the route that it came by. */
function decoded(packet: Packet, { correlationId }: MessageProperties, message: DeserializeContext): Decoded {
  const { pattern, data, id } = packet as {
    readonly pattern?: unknown;
    readonly data?: unknown;
    readonly id?: unknown;
  };
  const envelope = JSON.stringify({ pattern: pattern ?? message.route, id });
  const known = nestEnvelope().deserialize(Buffer.from(envelope), {}, { ...message }) as Decoded;
  const { correlationId: own, ...fields } = known.fields;
  return new Decoded(data, {
    ...fields,
    ...(own !== undefined && correlationId === undefined && { correlationId: own }),
  });
}
