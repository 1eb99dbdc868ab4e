import type { Channel } from 'amqplib';
import { reply, replyCode } from '../connection/broker-errors.js';
import { differencesOf } from './differences.js';

/** What the broker tells of a queue that somebody else has made; undefined where this user may not ask. */
export interface AdoptedQueue {
  readonly queueType: unknown;
  readonly hasSingleActiveConsumer: boolean;
  readonly deadLetterExchange: string | undefined;
}

/**
 * AMQP tells what a queue is only by refusing another one of its name. Should the queue be deleted in that moment, what is
 * made in its place goes by itself.
 */
const QUESTION = {
  'x-queue-type': 'quorum',
  'x-single-active-consumer': true,
  'x-dead-letter-exchange': 'nestjs-messaging.question',
  'x-expires': 60_000,
};

/** Queues that are used as they are: asked for what they are, and never declared. */
export class AdoptedQueues {
  private readonly found = new Map<string, AdoptedQueue | undefined>();

  /** `ask`: on a channel of its own. */
  constructor(private readonly ask: (work: (channel: Channel) => Promise<void>) => Promise<void>) {}

  of(queue: string): AdoptedQueue | undefined {
    return this.found.get(queue);
  }

  /** Once per queue. Rejects as the broker does where there is none. */
  async look(queue: string): Promise<AdoptedQueue | undefined> {
    if (!this.found.has(queue)) this.found.set(queue, await this.question(queue));
    return this.of(queue);
  }

  private async question(name: string): Promise<AdoptedQueue | undefined> {
    const ask = (work: (channel: Channel) => Promise<void>): Promise<void> =>
      this.ask(async (channel) => {
        await channel.checkQueue(name);
        await work(channel);
      });
    try {
      const differences = await differencesOf({ kind: 'queue', name, arguments: QUESTION }, ask);
      const valueOf = (argument: keyof typeof QUESTION): unknown => {
        const difference = differences.find((one) => one.name === argument);
        return difference ? difference.found : QUESTION[argument];
      };
      return {
        queueType: valueOf('x-queue-type') ?? 'classic',
        hasSingleActiveConsumer: valueOf('x-single-active-consumer') === true,
        deadLetterExchange: valueOf('x-dead-letter-exchange') as string | undefined,
      };
    } catch (error) {
      if (replyCode(error) === reply.accessRefused) return undefined;
      throw error;
    }
  }
}
