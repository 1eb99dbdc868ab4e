import type { HeaderValue, WireMessage } from 'nestjs-messaging';
import { parseTypes, putHeader, ReservedNames, TextHeaders, TYPES_HEADER } from 'nestjs-messaging/transport';

type Line = readonly [name: string, text: string];

class Lines extends TextHeaders {
  readonly lines: Line[] = [];

  constructor({ headers }: WireMessage) {
    super(new ReservedNames({}, 'file-'));
    for (const [name, value] of Object.entries(headers)) this.header(name, value);
    this.endTypes();
  }

  line(name: string, text: string): void {
    this.lines.push([name, text]);
  }
}

/** What a file holds. Without a topic the message was sent to its queue. */
export function write(message: WireMessage, topic: string | undefined): Buffer {
  const { lines: headers } = new Lines(message);
  return Buffer.from(JSON.stringify({ ...message, headers, body: message.body.toString('base64'), topic }));
}

export function readStored(bytes: Buffer): { readonly message: WireMessage; readonly topic?: string } {
  const { topic, ...stored } = JSON.parse(bytes.toString()) as { topic?: string; headers: Line[]; body: string };
  const types = parseTypes(stored.headers.find(([name]) => name === TYPES_HEADER)?.[1]);
  const headers: Record<string, HeaderValue> = {};
  for (const [name, text] of stored.headers) if (name !== TYPES_HEADER) putHeader(headers, name, text, types);
  return { message: { ...stored, headers, body: Buffer.from(stored.body, 'base64') } as WireMessage, topic };
}
