import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import type { WireMessage } from '../../../message/message.js';
import type { Outgoing, PublishResult } from '../../../transport/outgoing.js';
import { answered, type AnswerTimeout } from '../../../clock/answered.js';
import { type AddressEvents, ReplyInbox } from '../../kit/reply-inbox.js';
import { openChannel } from '../connection/amqplib.js';
import { queueDepth } from '../queues/browser.js';
import { decode, originOf } from '../wire/decode.js';
import type { Names } from '../names.js';

const DIRECT_REPLY = 'amq.rabbitmq.reply-to';
const ANSWER_WITHIN_MS = 10_000;

/**
 * Direct reply-to, on a channel of the consuming connection. The broker puts the address of the channel in the place of
 * its general name where a request is published on that same channel; requests go by the publishing connection, so the
 * address is asked for: a message that goes nowhere comes back with it.
 */
export class RabbitmqReplies extends ReplyInbox<ChannelModel> {
  constructor(
    private readonly names: Names,
    private readonly publish: (outgoing: Outgoing) => Promise<PublishResult>,
    private readonly bound: () => AnswerTimeout | undefined,
  ) {
    super();
  }

  /** Any queue may be an address. Of what is sent to a direct one the broker does not tell whether somebody waits there. */
  async reply(address: string, message: WireMessage): Promise<PublishResult> {
    if (!this.link) return this.notConnected();
    const to = { kind: 'queue', queue: address } as const;
    return this.publish({ to, message, dedupeId: message.id, mandatory: true });
  }

  /** The broker answers for the address of a direct reply as for a queue, which is there as long as its client is. */
  async awaited(address: string): Promise<boolean | undefined> {
    const [model, bound] = [this.link, this.bound()];
    if (!model || !bound) return undefined;
    return queueDepth(model, bound, address).then(
      (depth) => depth !== undefined,
      () => undefined,
    );
  }

  protected async receive(model: ChannelModel, on: AddressEvents): Promise<string> {
    const channel = await openChannel(model, {
      ended: (error) => on.ended(error?.message ?? 'its channel was closed'),
      defect: () => {},
    });
    const consumed = (raw: ConsumeMessage | null): void => {
      if (raw) on.reply(decode(raw, raw.fields.routingKey, originOf(raw, this.names), this.names));
      else on.ended('the broker has cancelled its consumer');
    };
    await channel.consume(DIRECT_REPLY, consumed, { noAck: true });
    const returned = new Promise<string>((resolve) =>
      channel.once('return', (raw: ConsumeMessage) => resolve(String(raw.properties.replyTo))),
    );
    const nowhere = `messaging:nowhere:${randomUUID()}`;
    channel.publish('', nowhere, Buffer.alloc(0), { mandatory: true, replyTo: DIRECT_REPLY });
    const bound = this.bound();
    const address = await (bound ? answered(returned, { ...bound, ms: ANSWER_WITHIN_MS }) : returned);
    if (!address.startsWith(`${DIRECT_REPLY}.`)) throw new Error(`the broker gave no address for ${DIRECT_REPLY}`);
    return address;
  }
}
