import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import type { MessagingError } from '../../../errors/messaging-error.js';
import { MessageTooLargeError, PublishRefusedError } from '../../../errors/publish-errors.js';
import { unsendable } from '../../../message/header-values.js';
import type { WireMessage } from '../../../message/message.js';
import { CONFIRMED, type PublishResult } from '../../../transport/outgoing.js';
import { typeOf, writeEnvelope } from '../../kit/envelope.js';
import { type AddressEvents, ReplyInbox } from '../../kit/reply-inbox.js';
import { describe } from '../connection/broker-errors.js';
import { decode } from '../wire/decode.js';
import { HeaderLines } from '../wire/headers.js';
import type { Link } from '../connection/link.js';

/** An inbox and nothing else: whoever asks could name any subject, and make the responder write to streams or their API. */
const INBOX = /^_INBOX[\w-]*(\.[\w-]+)+$/;

/** Replies go past JetStream, to an inbox of the connection. */
export class NatsReplies extends ReplyInbox<Link> {
  private flushing: Promise<void> | undefined;

  constructor(private readonly redact: (text: string) => string) {
    super();
  }

  async reply(address: string, message: WireMessage): Promise<PublishResult> {
    if (!this.link) return this.notConnected();
    const { connection, maxPayload } = this.link;
    if (!INBOX.test(address) || address.length > 255)
      return refused(new PublishRefusedError('Its reply address is no inbox of NATS (_INBOX.…)'));
    const { body, headers } = message;
    const problem = unsendable(headers);
    if (problem) return refused(problem);
    try {
      const lines = new HeaderLines(true);
      writeEnvelope(message, lines, typeOf(message) || undefined);
      for (const name of Object.keys(headers)) lines.header(name, headers[name], false);
      const block = lines.end();
      const bytes = block.length + body.length;
      if (bytes > maxPayload)
        return refused(
          new MessageTooLargeError(
            `The reply has ${bytes} bytes with its headers; the server takes ${maxPayload} («max_payload»)`,
          ),
        );
      connection.publish(address, body, { headers: { encode: () => block } as unknown as MsgHdrs });
      await this.flushed(connection);
      return CONFIRMED;
    } catch (error) {
      return this.notConnected(`NATS: ${this.redact(describe(error))}`);
    }
  }

  protected async receive(link: Link, on: AddressEvents): Promise<string> {
    const { connection } = link;
    const address = link.inbox();
    connection.subscribe(address, {
      callback: (error, { data, headers, subject }) => {
        if (error) on.ended(this.redact(describe(error)));
        else on.reply(decode(data, headers, subject, { direct: true }));
      },
    });
    await connection.flush();
    return address;
  }

  /** One question for all that was written in a turn. */
  private flushed(connection: NatsConnection): Promise<void> {
    this.flushing ??= Promise.resolve().then(() => {
      this.flushing = undefined;
      return connection.flush();
    });
    return this.flushing;
  }
}

function refused(error: MessagingError): PublishResult {
  return { status: 'refused', error };
}
