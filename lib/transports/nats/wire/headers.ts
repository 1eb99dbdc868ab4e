import { type EnvelopeField, type EnvelopeWriter } from '../../kit/envelope.js';
import { ReservedNames, TextHeaders } from '../../kit/text-values.js';

const LINE = '\r\n';
const FIRST_LINE = `NATS/1.0${LINE}`;

/** The standard metadata of a message, in headers that foreign clients can set and read. Compared without case. */
export const property = {
  id: 'Message-Id',
  type: 'Message-Type',
  contentType: 'Content-Type',
  contentEncoding: 'Content-Encoding',
  correlationId: 'Correlation-Id',
  replyTo: 'Reply-To',
  appId: 'App-Id',
  timestamp: 'Timestamp',
  priority: 'Priority',
} as const satisfies Record<EnvelopeField, string>;

export const DEDUPE_HEADER = 'Nats-Msg-Id';

/** What begins with `nats-` tells the server what to do with a message: never taken over from a message. */
export const reserved = new ReservedNames({ ...property, dedupe: DEDUPE_HEADER }, 'nats-');

/** Writes the lines of a header block. */
export class HeaderLines extends TextHeaders implements EnvelopeWriter {
  private block = FIRST_LINE;

  constructor(private readonly withId: boolean) {
    super(reserved);
  }

  line(name: string, value: string): void {
    this.block += `${name}: ${value}${LINE}`;
  }

  property(name: EnvelopeField, value: string | number | undefined): void {
    if (name === 'id' && !this.withId) return;
    if (value !== undefined) this.text(property[name], value);
    // A foreign message has no other id than the one it is recognised by: its copies say that it has none.
    else if (name === 'id') this.line(property.id, '');
  }

  /** Nothing where no line was written. */
  end(): Buffer {
    if (this.block === FIRST_LINE) return Buffer.alloc(0);
    this.endTypes();
    return Buffer.from(this.block + LINE);
  }
}
