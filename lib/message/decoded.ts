import { brand } from '../errors/brand.js';
import { UndecodableMessageError } from '../errors/handling-errors.js';
import { printable } from '../errors/printable.js';
import { typeOfResult } from '../errors/result-checks.js';
import type { CloudEvent } from './cloud-event.js';
import { isPlain } from './header-values.js';
import type { Headers } from './headers.js';

/** What a body says of its message beside the payload. What is left out is as the broker delivered it. */
export interface DecodedFields {
  /** 1 to 255 bytes. Handlers that share a queue are chosen by it. */
  readonly route?: string;
  /** 1 to 255 bytes. */
  readonly id?: string;
  /** 1 to 255 bytes. Messages of one key keep their order. */
  readonly key?: string;
  /** When it was first published, in milliseconds since the epoch. */
  readonly time?: number;
  /** Over those that came with the message. */
  readonly headers?: Headers;
  readonly correlationId?: string;
  /** Where its publisher wants the answer. */
  readonly replyTo?: string;
  /** What makes two messages the same for `idempotent`, where that is not the id alone. */
  readonly sameAs?: string;
  /** What `context.cloudEvent` is. */
  readonly cloudEvent?: CloudEvent;
}

const TEXTS = ['route', 'id', 'key', 'correlationId', 'replyTo', 'sameAs'] as const;
const MAX_BYTES = { route: 255, id: 255, key: 255, correlationId: 1_024, replyTo: 1_024, sameAs: 4_096 } as const;

/**
 * What `deserialize` returns where a body says more than its payload. The message stays as it came: its retries, its dead
 * letter and what is redriven have the same bytes, and are decoded again.
 */
export class Decoded {
  /** @throws UndecodableMessageError that names the field, so that the message goes to its dead letters */
  constructor(
    readonly payload: unknown,
    readonly fields: DecodedFields = {},
  ) {
    for (const name of TEXTS) if (fields[name] !== undefined) checkText(name, fields[name]);
    const { time, headers } = fields;
    if (time !== undefined && !(Number.isInteger(time) && time >= 0))
      throw wrong('time', time, 'whole milliseconds since the epoch');
    if (headers !== undefined && (typeof headers !== 'object' || headers === null || !isPlain(headers)))
      throw wrong('headers', headers, 'a plain object');
  }
}

function checkText(name: (typeof TEXTS)[number], value: unknown): void {
  const most = MAX_BYTES[name];
  if (typeof value !== 'string' || value === '' || Buffer.byteLength(value) > most || printable(value) !== value)
    throw wrong(name, value, `a text of 1 to ${most} bytes without control characters`);
}

function wrong(name: string, value: unknown, allowed: string): UndecodableMessageError {
  return new UndecodableMessageError(
    `What was decoded has a wrong «${name}», ${typeOfResult(value)}; allowed: ${allowed}`,
  );
}

brand({ Decoded });
