import { type ErrorReply, errorReplyOf, RemoteError } from '../errors/request-errors.js';
import { requestHeader } from '../message/headers.js';
import type { WireMessage } from '../message/message.js';
import type { Reply, SerializeContext, SerializedPayload, Serializer } from '../message/serializer.js';
import { decode, payloadOf } from '../pipeline/decode.js';

/** @throws SerializationError, and what else the serializer throws */
export function replyBody(reply: Reply, serializer: Serializer, message: SerializeContext): SerializedPayload {
  if (serializer.replies) return serializer.replies.serialize(reply, message);
  const content = reply.error ?? reply.value;
  return content === undefined ? { body: Buffer.alloc(0) } : serializer.serialize(content, message);
}

/** @throws RemoteError, UndecodableMessageError */
export function answerIn(message: WireMessage, serializer: Serializer): unknown {
  const { value, error } = replyIn(message, serializer);
  if (error) throw new RemoteError(error);
  if (requestHeader.error in message.headers) throw new RemoteError(errorReplyOf(value));
  return value;
}

function replyIn(
  message: WireMessage,
  serializer: Serializer,
): { readonly value?: unknown; readonly error?: ErrorReply } {
  if (serializer.replies) return decode(message, serializer.replies) as Reply;
  return { value: message.body.length === 0 ? undefined : payloadOf(message, serializer) };
}
