import { method } from './methods.mjs';
import { frame, frameType, long, longlong, methodFrame, octet, short, shortString, table } from './wire.mjs';

const BASIC = 60;

/** The properties that an offered message can have, in the order of the protocol, with the bit of each. */
const PROPERTIES = [
  ['contentType', 15, shortString],
  ['headers', 13, table],
  ['persistent', 12, (persistent) => octet(persistent ? 2 : 1)],
  ['messageId', 7, shortString],
  ['type', 5, shortString],
];

/** One message as it is delivered to one consumer, encoded once: only the delivery tag changes. */
export class MessageFrames {
  constructor(channel, consumerTag, { exchange, routingKey, properties, body }) {
    const tag = shortString(consumerTag);
    const bytes = Buffer.from(body);
    // Frame header and method id come before the consumer's tag.
    this.tagAt = 7 + 4 + tag.length;
    this.bytes = Buffer.concat([
      methodFrame(channel, method.deliver, tag, longlong(0), octet(0), shortString(exchange), shortString(routingKey)),
      frame(frameType.header, channel, contentHeader(properties, bytes.length)),
      frame(frameType.body, channel, bytes),
    ]);
  }

  /** So many copies, numbered from `firstTag`. */
  copies(count, firstTag) {
    const { length } = this.bytes;
    const all = Buffer.allocUnsafe(length * count);
    for (let at = 0; at < count; at++) {
      all.set(this.bytes, at * length);
      // Its high half stays 0: there are never so many.
      all.writeUInt32BE(firstTag + at, at * length + this.tagAt + 4);
    }
    return all;
  }
}

function contentHeader(properties, size) {
  let flags = 0;
  const fields = [];
  for (const [name, bit, encode] of PROPERTIES) {
    if (properties[name] === undefined) continue;
    flags |= 1 << bit;
    fields.push(encode(properties[name]));
  }
  return Buffer.concat([short(BASIC), short(0), long(0), long(size), short(flags), ...fields]);
}
