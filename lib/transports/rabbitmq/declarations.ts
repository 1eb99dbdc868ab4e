import type { Clock } from '../../clock/clock.js';
import { PublishFailedError } from '../../errors/publish-errors.js';
import type { SupervisedConnection } from './supervised-connection.js';
import { withChannel } from './amqplib.js';
import { bandOf } from './delay-path.js';
import { delayEdges, delayEnds, delayLevelQueues, dueBinding } from './delay-topology.js';
import type { Names } from './names.js';
import { check, nameOf, perform, type Operation } from './operations.js';
import { describe, reply, replyCode, topologyMisconfiguration } from './broker-errors.js';

/** The way a delayed message takes. */
export interface DelayRoute {
  /** Highest first. */
  readonly levels: readonly number[];
  /** The queue it ends in; undefined when the forwarder routes it. */
  readonly queue?: string;
}

export interface DeclarationContext {
  readonly connection: SupervisedConnection;
  readonly names: Names;
  readonly clock: Clock;
  readonly provision: boolean;
  readonly timeout: number;
  warning(message: string): void;
}

/** Delay levels are looked after again after this time, so that one that somebody deleted comes back. */
const FRESH_MS = 60_000;

/**
 * What publishing needs on the broker, declared at the first use per connection. Whoever publishes asks `has…` per
 * message and waits for `prepare…` only when that says no.
 */
export class Declarations {
  private readonly exchanges = new Set<string>(['']);
  /** When the bands of levels, by their highest, and the queues bound for their ends were declared. */
  private readonly delays = new Map<number | string, number>();

  constructor(private readonly context: DeclarationContext) {}

  /** A new connection, or the broker said that something is missing. */
  forget(): void {
    this.exchanges.clear();
    this.exchanges.add('');
    this.delays.clear();
  }

  /** A level of the path is gone: it is declared again at its next use. */
  forgetDelay(route: DelayRoute): void {
    this.delays.delete(route.levels[0]);
  }

  hasExchange(exchange: string): boolean {
    return this.exchanges.has(exchange);
  }

  hasDelay(route: DelayRoute): boolean {
    const now = this.context.clock.monotonic();
    return this.isFresh(route.levels[0], now) && (route.queue === undefined || this.isFresh(route.queue, now));
  }

  async prepareExchange(exchange: string): Promise<void> {
    const { names, connection } = this.context;
    const type = exchange === names.deadLetters ? 'direct' : 'topic';
    try {
      await this.run([{ kind: 'exchange', name: exchange, type }], this.context.provision);
    } catch (error) {
      const code = replyCode(error);
      if (code === reply.accessRefused) {
        await this.run([{ kind: 'exchange', name: exchange, type }], false).catch((e: unknown) =>
          this.rethrow(e, `the exchange «${exchange}»`),
        );
      } else if (code === reply.preconditionFailed) {
        this.context.warning(
          `Publishing to the exchange «${exchange}» as it is: ${connection.redact(describe(error))}`,
        );
      } else {
        this.rethrow(error, `the exchange «${exchange}»`);
      }
    }
    this.exchanges.add(exchange);
  }

  async prepareDelay(route: DelayRoute): Promise<void> {
    const { names, provision, clock } = this.context;
    const band = bandOf(route.levels[0]);
    try {
      await this.run(delayEnds(names), provision);
      await this.run(delayLevelQueues(band, names), provision);
      await this.run(delayEdges(band, names), provision);
    } catch (error) {
      this.rethrow(error, `the delay levels of «${names.exchange}»`);
    }
    this.delays.set(band[0], clock.monotonic());
    if (route.queue === undefined) return;
    // Without the binding (the queue is gone, or not ours to bind) the forwarder delivers.
    if (provision) await this.run([dueBinding(route.queue, names)], true).catch(() => {});
    this.delays.set(route.queue, clock.monotonic());
  }

  private isFresh(key: number | string, now: number): boolean {
    const since = this.delays.get(key);
    return since !== undefined && now - since < FRESH_MS;
  }

  private async run(operations: readonly Operation[], create: boolean): Promise<void> {
    const { connection, clock, timeout } = this.context;
    const model = connection.current;
    if (!model) throw new PublishFailedError('The connection to RabbitMQ was lost before the message was sent');
    const work = withChannel(model, async (channel) => {
      for (const operation of operations) await (create ? perform : check)(channel, operation);
    });
    let cancel = (): void => {};
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(timeout, () =>
        reject(
          new PublishFailedError(
            `RabbitMQ did not answer the declaration of ${nameOf(operations[0])} within ${timeout} ms`,
          ),
        ),
      );
    });
    await Promise.race([work, late]).finally(cancel);
  }

  private rethrow(error: unknown, what: string): never {
    const { connection } = this.context;
    const redact = (text: string): string => connection.redact(text);
    // What is missing can come; what is there with other arguments, or forbidden, stays so.
    const permanent = replyCode(error) === reply.notFound ? undefined : topologyMisconfiguration(error, what, redact);
    throw permanent ?? new PublishFailedError(`RabbitMQ cannot declare ${what}: ${redact(describe(error))}`);
  }
}
