import type { MsgHdrs } from '@nats-io/transport-node';
import type { Headers, HeaderValue } from '../../../message/headers.js';
import type { WireMessage } from '../../../message/message.js';
import { readProperties, routeOf } from '../../kit/envelope.js';
import { parseTypes, putHeader, TYPES_HEADER } from '../../kit/text-values.js';
import { reserved } from './headers.js';

/** How a message came into a queue, told by its subject. */
export interface Origin {
  readonly direct: boolean;
  readonly topic?: string;
  /** The route in the subject; undefined where the subject holds none. */
  readonly route?: string;
}

const NONE: Headers = Object.freeze({});

export function decode(data: Uint8Array, raw: MsgHdrs | undefined, queue: string, origin: Origin): WireMessage {
  const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (!raw) return { id: '', route: origin.route ?? queue, body, headers: NONE, properties: {} };
  const found: Record<string, string> = {};
  const headers = headersOf(raw, found);
  const route = origin.route ?? routeOf(headers, found.type, queue);
  return { id: found.id ?? found.dedupe ?? '', route, body, headers, properties: readProperties(found, route) };
}

/** The headers of applications; those with a meaning are put into `found`. */
function headersOf(raw: MsgHdrs, found: Record<string, string>): Headers {
  const types = parseTypes(raw.get(TYPES_HEADER) || undefined);
  const headers: Record<string, HeaderValue> = {};
  for (const [name, values] of raw) {
    const meaning = reserved.meaningOf(name);
    if (meaning !== undefined) found[meaning] = values[0];
    else if (name === TYPES_HEADER) continue;
    else if (values.length > 1) putHeader(headers, name, values);
    else putHeader(headers, name, values[0], types);
  }
  return headers;
}
