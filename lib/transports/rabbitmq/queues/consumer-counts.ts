import type { ChannelModel } from 'amqplib';
import { withChannel } from '../connection/amqplib.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { reply, replyCode } from '../connection/broker-errors.js';

/**
 * The consumers of queues, undefined for one that does not exist. Of a quorum queue with one active consumer the broker
 * counts that one only, not those that stand by.
 */
export async function consumerCounts(
  model: ChannelModel,
  bound: AnswerTimeout,
  queues: readonly string[],
): Promise<(number | undefined)[]> {
  const counts: (number | undefined)[] = [];
  while (counts.length < queues.length) {
    try {
      await withChannel(model, bound, async (channel) => {
        while (counts.length < queues.length)
          counts.push((await channel.checkQueue(queues[counts.length])).consumerCount);
      });
    } catch (error) {
      // The broker closes the channel over a queue that it does not know.
      if (replyCode(error) !== reply.notFound) throw error;
      counts.push(undefined);
    }
  }
  return counts;
}
