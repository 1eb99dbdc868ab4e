/*
 * The few data types of AMQP 0-9-1 that the instant broker reads and writes.
 */

export const frameType = { method: 1, header: 2, body: 3, heartbeat: 8 };

/** Type, channel and length before the payload. */
export const FRAME_HEADER = 7;
const FRAME_END = 0xce;

export function frame(type, channel, payload) {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER + payload.length + 1);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt16BE(channel, 1);
  bytes.writeUInt32BE(payload.length, 3);
  payload.copy(bytes, FRAME_HEADER);
  bytes.writeUInt8(FRAME_END, FRAME_HEADER + payload.length);
  return bytes;
}

/** `id` is class and method as one number, as they are on the wire. */
export function methodFrame(channel, id, ...fields) {
  return frame(frameType.method, channel, Buffer.concat([long(id), ...fields]));
}

export function octet(value) {
  return Buffer.from([value]);
}

export function short(value) {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function long(value) {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function longlong(value) {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function shortString(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([octet(bytes.length), bytes]);
}

export function longString(bytes) {
  return Buffer.concat([long(bytes.length), Buffer.from(bytes)]);
}

export function table(entries) {
  const fields = Object.entries(entries).flatMap(([name, value]) => [shortString(name), tableValue(value)]);
  return longString(Buffer.concat(fields));
}

function tableValue(value) {
  if (typeof value === 'boolean') return Buffer.concat([Buffer.from('t'), octet(value ? 1 : 0)]);
  if (typeof value === 'number') return Buffer.concat([Buffer.from('l'), longlong(value)]);
  if (typeof value === 'string') return Buffer.concat([Buffer.from('S'), longString(value)]);
  return Buffer.concat([Buffer.from('F'), table(value)]);
}

/** Reads the arguments of a method by their types: t(icket) s(hort string) b(its) 2 4 8 (unsigned). */
export function readArguments(bytes, types) {
  let at = 0;
  const forward = (length) => (at += length) - length;
  const read = {
    t: () => void forward(2),
    s: () => {
      const length = bytes.readUInt8(forward(1));
      return bytes.toString('utf8', forward(length), at);
    },
    b: () => bytes.readUInt8(forward(1)),
    2: () => bytes.readUInt16BE(forward(2)),
    4: () => bytes.readUInt32BE(forward(4)),
    8: () => Number(bytes.readBigUInt64BE(forward(8))),
  };
  return Array.from(types, (type) => read[type]());
}
