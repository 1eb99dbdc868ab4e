import type { Options } from 'amqplib';

/** Bytes of a frame, and of the content header in it, beside the properties. */
const FRAME_BYTES = 8;
const CONTENT_HEADER_BYTES = 14;
/** amqplib writes no larger table of headers; with it every other property fits into so much. */
const LARGEST_BYTES = 65_536 + 4_096;

/** How many bytes the headers of a message may take in one frame; undefined: amqplib's own limit comes first. */
export function headerFrameLimit(frameMax: number): number | undefined {
  return frameMax < LARGEST_BYTES ? frameMax : undefined;
}

/**
 * Headers and properties are in one frame, which the broker does not take in parts: over one that is larger than was agreed
 * it closes the connection.
 * @throws RangeError, as amqplib does for what exceeds its own limit
 */
export function checkHeaderFrame(options: Options.Publish, limit: number, room: number): void {
  const bytes = headerFrameBytes(options) + room;
  if (bytes > limit)
    throw new RangeError(
      `The headers and properties take ${bytes - room} bytes, which exceeds the ${limit - room} that fit into a frame of this connection (frame_max ${limit})`,
    );
}

/** As amqplib writes it. */
export function headerFrameBytes(options: Options.Publish): number {
  let bytes = FRAME_BYTES + CONTENT_HEADER_BYTES + 1 + tableBytes(options.headers as Table);
  for (const text of [
    options.messageId,
    options.type,
    options.contentType,
    options.contentEncoding,
    options.correlationId,
    options.replyTo,
    options.appId,
    options.expiration as string | undefined,
  ])
    if (text !== undefined) bytes += 1 + Buffer.byteLength(text);
  if (options.timestamp !== undefined) bytes += 8;
  if (options.priority !== undefined) bytes += 1;
  return bytes;
}

type Table = Readonly<Record<string, unknown>>;

function tableBytes(table: Table): number {
  let bytes = 4;
  // With what is inherited, as amqplib has it.
  for (const name in table) {
    const value = table[name];
    if (value !== undefined) bytes += 1 + Buffer.byteLength(name) + valueBytes(value);
  }
  return bytes;
}

function valueBytes(value: unknown): number {
  if (typeof value === 'string') return 5 + Buffer.byteLength(value);
  if (typeof value === 'number') return numberBytes(value);
  if (typeof value === 'boolean') return 2;
  if (typeof value !== 'object' || value === null) return 1;
  if (Buffer.isBuffer(value)) return 5 + value.length;
  if (Array.isArray(value)) return value.reduce<number>((bytes, part) => bytes + valueBytes(part), 5);
  if (Object.hasOwn(value, '!')) return (value as { '!': unknown })['!'] === 'decimal' ? 6 : 9;
  return 1 + tableBytes(value as Table);
}

function numberBytes(value: number): number {
  if (!Number.isInteger(value)) return 9;
  if (value >= -0x80 && value < 0x80) return 2;
  if (value >= -0x8000 && value < 0x8000) return 3;
  return value >= -0x8000_0000 && value < 0x8000_0000 ? 5 : 9;
}
