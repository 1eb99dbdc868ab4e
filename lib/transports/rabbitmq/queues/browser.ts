import type { Channel, ChannelModel, GetMessage } from 'amqplib';
import type { Delivery } from '../../../transport/delivery.js';
import type { Browser } from '../../../transport/queue-operations.js';
import { NotConnectedError } from '../../../errors/publish-errors.js';
import { openChannel, withChannel } from '../connection/amqplib.js';
import { answered, type AnswerTimeout } from '../../../clock/answered.js';
import { withBrokerDeath } from './broker-deaths.js';
import { reply, replyCode } from '../connection/broker-errors.js';
import { decode, originOf } from '../wire/decode.js';
import { RabbitmqDelivery, type Settler } from '../wire/delivery.js';
import type { Names } from '../names.js';

/** Messages ready in a queue; undefined when there is no such queue. */
export async function queueDepth(
  model: ChannelModel,
  bound: AnswerTimeout,
  queue: string,
): Promise<number | undefined> {
  try {
    return await withChannel(model, bound, async (channel) => (await channel.checkQueue(queue)).messageCount);
  } catch (error) {
    if (replyCode(error) === reply.notFound) return undefined;
    throw error;
  }
}

/** A look that ends early reads on this far, to keep the order of the queue. */
const READ_ON_MESSAGES = 2_000;
const READ_ON_BYTES = 16 * 2 ** 20;

/**
 * Reads what is in a queue when the look begins. What is released goes back at the end of the look only: given back at
 * once it would be the next message again, for ever.
 */
export class QueueBrowser implements Browser, Settler {
  private closed = false;
  private upcoming: GetMessage | false = false;
  /** To be shown after the upcoming message. */
  private left = 0;
  /** What this look shows in all. */
  private size = 0;
  private acked = 0;
  private newcomers = 0;

  private constructor(
    private readonly channel: Channel,
    private readonly queue: string,
    private readonly names: Names,
    private readonly bound: AnswerTimeout,
  ) {}

  static async open(
    model: ChannelModel,
    bound: AnswerTimeout,
    queue: string,
    names: Names,
    rest?: QueueBrowser,
  ): Promise<QueueBrowser> {
    const opened: { browser?: QueueBrowser } = {};
    const channel = await openChannel(model, {
      ended: () => {
        if (opened.browser) opened.browser.closed = true;
      },
      defect: () => {},
    });
    const browser = new QueueBrowser(channel, queue, names, bound);
    opened.browser = browser;
    try {
      await browser.begin(rest);
    } catch (error) {
      void browser.close();
      throw error;
    }
    return browser;
  }

  /**
   * What a get says is left is exact, where the count of a passive declare lags behind a give-back. What was read before is
   * ahead of what never was, so that an earlier look is gone on with by its count. Where somebody has read what is new in
   * between, a few of those may be shown instead of as many old ones, which a later look finds.
   */
  private async begin(rest: QueueBrowser | undefined): Promise<void> {
    const first = await this.get();
    const there = first ? first.fields.messageCount + 1 : 0;
    this.size = rest ? Math.min(rest.size - rest.acked, there) : there;
    this.newcomers = there - this.size;
    // A message that came later is held until the end, too: there is no other way to a true count.
    this.upcoming = this.size > 0 && first;
    this.left = Math.max(0, this.size - 1);
  }

  async next(): Promise<Delivery | undefined> {
    const raw = this.upcoming;
    if (!raw) return undefined;
    this.upcoming = this.left > 0 && (await this.get());
    if (this.upcoming) this.newcomers = Math.max(0, this.upcoming.fields.messageCount - --this.left);
    const origin = originOf(raw, this.names);
    const message = withBrokerDeath(decode(raw, this.queue, origin, this.names), raw.properties.headers);
    return new RabbitmqDelivery(message, this.queue, origin.direct, origin.topic, undefined, raw, this);
  }

  async arrived(): Promise<number> {
    return this.newcomers;
  }

  async behind(): Promise<number> {
    return this.upcoming ? this.upcoming.fields.messageCount + 1 : 0;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      await this.readOn();
      // Said on the channel, it reaches the queue before whatever is asked after the channel has closed.
      this.channel.nackAll(true);
      await this.channel.close();
    } catch {
      // With the channel gone everything is back already.
    }
  }

  /**
   * What is given back goes behind what was given back before, and ahead of what was never delivered: the order stays only
   * when all that was delivered before is given back together. Of a long queue that would take too long.
   */
  private async readOn(): Promise<void> {
    let bytes = 0;
    for (let count = 0; count < READ_ON_MESSAGES && bytes < READ_ON_BYTES; count++) {
      if (!this.upcoming || !this.upcoming.fields.redelivered) return;
      this.upcoming = await this.get();
      if (this.upcoming) bytes += this.upcoming.content.length;
    }
  }

  private async get(): Promise<GetMessage | false> {
    try {
      return await answered(this.channel.get(this.queue, { noAck: false }), this.bound);
    } catch (error) {
      throw new NotConnectedError(`RabbitMQ did not show the queue «${this.queue}»: ${(error as Error).message}`);
    }
  }

  ack(delivery: RabbitmqDelivery): void {
    if (this.closed) return;
    this.channel.ack(delivery.received);
    this.acked++;
  }

  /** What is answered on the channel after it comes after it. */
  async ackConfirmed(delivery: RabbitmqDelivery): Promise<boolean> {
    if (this.closed) return false;
    this.ack(delivery);
    return answered(this.channel.checkQueue(this.queue), this.bound).then(
      () => true,
      () => false,
    );
  }

  release(): void {
    // The message goes back when the channel closes.
  }

  reject(): void {
    // As release: what is looked at is not given up.
  }
}
