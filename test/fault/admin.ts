import { type Channel, type ChannelModel, connect } from 'amqplib';
import type { RabbitHandle } from '../brokers/rabbitmq/handle.js';
import { within } from './within.js';
import { DEAD_LETTER_QUEUE } from './worker/settings.js';

/** A queue that has no leader answers nobody. */
const ANSWERED_WITHIN_MS = 15_000;
/** Thousands of dead letters, one after the other, on a busy machine. */
const READ_WITHIN_MS = 120_000;

/** An operator's connection to one vhost: looks at queues and deletes them. Not part of what is tested. */
export class Admin {
  constructor(
    private readonly nodes: () => readonly RabbitHandle[],
    readonly vhost: string,
  ) {}

  /** A channel of its own each time: the fault may have ended the last one, and a refused request ends it too. */
  async with<T>(work: (channel: Channel) => Promise<T>, answeredWithin = ANSWERED_WITHIN_MS): Promise<T> {
    const model = await this.connect();
    try {
      const channel = await model.createChannel();
      channel.on('error', () => undefined);
      return await within(answeredWithin, 'the broker to answer an operator', work(channel));
    } finally {
      await within(ANSWERED_WITHIN_MS, 'the end of a connection', model.close()).catch(() => undefined);
    }
  }

  /** The names of the queues of the vhost. */
  async queues(): Promise<string[]> {
    const [node] = this.nodes();
    const list = await node.eval(
      `[binary_to_list(element(4, amqqueue:get_name(Q))) || Q <- rabbit_amqqueue:list(<<"${this.vhost}">>)]`,
    );
    return [...list.matchAll(/"([^"]*)"/g)].map(([, name]) => name);
  }

  /** Messages that wait in a queue; undefined when there is none. */
  async depth(queue: string): Promise<number | undefined> {
    return this.with((channel) => channel.checkQueue(queue)).then(
      ({ messageCount }) => messageCount,
      () => undefined,
    );
  }

  /** Messages that wait in all queues but the dead letters, by queue. */
  async waiting(): Promise<Record<string, number>> {
    // An exclusive queue answers its connection only, and holds nothing. The record of what was declared is no message.
    const none = (queue: string): boolean => queue.endsWith('.owner') || queue.endsWith(':declared');
    const queues = (await this.queues()).filter((queue) => queue !== DEAD_LETTER_QUEUE && !none(queue));
    return this.with(async (channel) => {
      const waiting: Record<string, number> = {};
      for (const queue of queues) {
        const { messageCount } = await channel.checkQueue(queue);
        if (messageCount > 0) waiting[queue] = messageCount;
      }
      return waiting;
    });
  }

  /** The ids in the dead-letter queue, and why each is there. They stay. */
  async deadLetters(): Promise<{ id: string; reason: string }[]> {
    return this.with(async (channel) => {
      const letters: { id: string; reason: string }[] = [];
      await channel.checkQueue(DEAD_LETTER_QUEUE);
      for (;;) {
        const message = await channel.get(DEAD_LETTER_QUEUE);
        if (!message) return letters;
        const { messageId, headers } = message.properties;
        letters.push({ id: String(messageId), reason: String(headers?.['messaging-reason']) });
      }
    }, READ_WITHIN_MS).catch((error: Error) => {
      if (/NOT_FOUND/.test(error.message)) return [];
      throw error;
    });
  }

  /** What quorum queues hold and have not handed on: it is ready for nobody, so no depth shows it. For a failed cell. */
  async held(): Promise<string> {
    const [node] = this.nodes();
    const answer = await node.eval(
      `[{binary_to_list(element(4, amqqueue:get_name(Q))), rabbit_amqqueue:info(Q, [messages, messages_dlx, leader])} ||
        Q <- rabbit_amqqueue:list(<<"${this.vhost}">>)]`,
    );
    return answer.replaceAll(/\s+/g, ' ');
  }

  async delete(queue: string): Promise<void> {
    await this.with((channel) => channel.deleteQueue(queue));
  }

  /** Deletes a queue with all that is in it, and gives the ids of what that was. */
  async deleteWithMessages(queue: string): Promise<string[]> {
    return this.with(async (channel) => {
      const ids: string[] = [];
      for (let message = await channel.get(queue); message; message = await channel.get(queue))
        ids.push(String(message.properties.messageId));
      await channel.deleteQueue(queue);
      return ids;
    });
  }

  private async connect(): Promise<ChannelModel> {
    let failure: unknown;
    for (const node of this.nodes()) {
      try {
        const model = await connect(node.url(this.vhost), { noDelay: true, timeout: 5_000 });
        model.on('error', () => undefined);
        return model;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}
