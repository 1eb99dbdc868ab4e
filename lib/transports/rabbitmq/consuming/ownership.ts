import type { ChannelModel } from 'amqplib';
import { NotConnectedError } from '../../../errors/publish-errors.js';
import { withChannel } from '../connection/amqplib.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { describe, reply, replyCode } from '../connection/broker-errors.js';
import type { RabbitmqConnection } from '../connection/connection.js';

/**
 * Which partitions are this process's: for each it holds an exclusive queue, which the broker gives to one connection and
 * removes with it. A single active consumer alone would keep the order as well, but who stands by is never told so.
 */
export class Ownership {
  /** What happens to a name happens in turn: a release must not come after the next acquisition. */
  private readonly turns = new Map<string, Promise<void>>();

  constructor(
    private readonly connection: Pick<RabbitmqConnection, 'current' | 'redact'>,
    private readonly bound: AnswerTimeout,
  ) {}

  /** `held`: what is said while another process has it. @throws NotConnectedError with that */
  acquire(queue: string, held = `another process consumes «${queue}»`): Promise<void> {
    return this.inTurn(queue, async (model) => {
      try {
        await withChannel(model, this.bound, (channel) =>
          channel.assertQueue(lockOf(queue), {
            exclusive: true,
            durable: false,
            arguments: { 'x-queue-type': 'classic' },
          }),
        );
      } catch (error) {
        throw replyCode(error) === reply.resourceLocked
          ? new NotConnectedError(held)
          : new NotConnectedError(`«${lockOf(queue)}» cannot be declared: ${this.connection.redact(describe(error))}`);
      }
    });
  }

  /** Does not reject: what cannot be deleted goes with the connection. */
  async release(queue: string): Promise<void> {
    await this.inTurn(queue, async (model) => {
      await withChannel(model, this.bound, (channel) => channel.deleteQueue(lockOf(queue)));
    }).catch(() => {});
  }

  private inTurn(queue: string, work: (model: ChannelModel) => Promise<void>): Promise<void> {
    const turn = (this.turns.get(queue) ?? Promise.resolve()).then(async () => {
      const model = this.connection.current;
      if (!model) throw new NotConnectedError('Not connected to RabbitMQ');
      await work(model);
    });
    const ended = turn
      .catch(() => {})
      .then(() => {
        if (this.turns.get(queue) === ended) this.turns.delete(queue);
      });
    this.turns.set(queue, ended);
    return turn;
  }
}

function lockOf(queue: string): string {
  return `${queue}.owner`;
}
