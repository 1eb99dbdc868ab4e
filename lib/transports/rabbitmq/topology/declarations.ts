import { PublishFailedError } from '../../../errors/publish-errors.js';
import type { RabbitmqConnection } from '../connection/connection.js';
import { withChannel } from '../connection/amqplib.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { bandOf } from './delay-path.js';
import { delayBands, delayEnds, dueBinding } from './delay-topology.js';
import type { Names } from '../names.js';
import { exchangeOperation, exchangeOperations, type RabbitmqExchange } from './exchanges.js';
import { check, inStages, perform, type Operation } from './operations.js';
import { RENEWAL_INTERVAL_MS } from '../../kit/renewal.js';
import { describe, reply, replyCode, topologyMisconfiguration } from '../connection/broker-errors.js';

/** The way a delayed message takes. */
export interface DelayRoute {
  /** Highest first. */
  readonly levels: readonly number[];
  /** The queue it ends in; undefined when the forwarder routes it. */
  readonly queue?: string;
}

export interface DeclarationContext {
  readonly connection: RabbitmqConnection;
  readonly names: Names;
  readonly bound: AnswerTimeout;
  readonly provision: boolean;
  /** Those of the options. */
  readonly exchanges: ReadonlyMap<string, RabbitmqExchange>;
  warning(message: string): void;
  /** Binds the queues of this process's subscriptions again; it does not reject. */
  bindAgain(): Promise<void>;
}

/** What is missing may come, and is not ours to make. */
export class MissingTopologyError extends PublishFailedError {
  override readonly name = PublishFailedError.name;
}

/** So long after an exchange came back, every process that consumes has bound its queues to it again. */
const BOUND_AGAIN_AFTER_MS = 2 * RENEWAL_INTERVAL_MS;

/**
 * What publishing needs on the broker, declared at the first use per connection. Whoever publishes asks `has…` per
 * message and waits for `prepare…` only when that says no.
 */
export class Declarations {
  private readonly exchanges = new Set<string>(['']);
  /** The bands of levels, by their highest, and the queues bound for their ends. */
  private readonly delays = new Set<number | string>();
  /** Exchanges that the broker does not know any more. */
  private readonly missing = new Set<string>();
  /** When such an exchange was declared again. */
  private readonly restored = new Map<string, number>();

  constructor(private readonly context: DeclarationContext) {}

  /** The broker closed a channel over a publish to it: somebody deleted it, and its bindings with it. */
  exchangeMissing(exchange: string): void {
    this.forget();
    this.missing.add(exchange);
  }

  /** The exchange was deleted and declared again a moment ago: that it routes nothing says nothing yet. */
  isBeingBound(exchange: string): boolean {
    const since = this.restored.get(exchange);
    return since !== undefined && this.context.bound.clock.monotonic() - since < BOUND_AGAIN_AFTER_MS;
  }

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
    return this.delays.has(route.levels[0]) && (route.queue === undefined || this.delays.has(route.queue));
  }

  async prepareExchange(exchange: string): Promise<void> {
    // A delay can be over between the question and this call: what is due goes to an exchange that needs nothing.
    if (this.exchanges.has(exchange)) return;
    const { names, connection, exchanges } = this.context;
    const own = exchangeOperation(exchanges, exchange, exchange === names.deadLetters ? 'direct' : 'topic');
    // With the bindings by which messages reach others from there.
    const operations = exchanges.has(exchange) ? exchangeOperations(exchanges) : [own];
    try {
      await this.run(operations, this.context.provision);
    } catch (error) {
      const code = replyCode(error);
      if (code === reply.accessRefused) {
        await this.run([own], false).catch((e: unknown) => this.rethrow(e, `the exchange «${exchange}»`));
      } else if (code === reply.preconditionFailed) {
        this.context.warning(
          `Publishing to the exchange «${exchange}» as it is: ${connection.redact(describe(error))}`,
        );
      } else {
        this.rethrow(error, `the exchange «${exchange}»`);
      }
    }
    if (this.missing.delete(exchange)) {
      this.restored.set(exchange, this.context.bound.clock.monotonic());
      await this.context.bindAgain();
    }
    this.exchanges.add(exchange);
  }

  async prepareDelay({ levels, queue }: DelayRoute): Promise<void> {
    await this.declareBand(levels[0]);
    if (queue !== undefined) await this.bindDue(queue);
  }

  /** Declares again what delays go through, so that what somebody deleted comes back. */
  async renew(): Promise<void> {
    for (const key of [...this.delays]) await (typeof key === 'number' ? this.declareBand(key) : this.bindDue(key));
  }

  private async declareBand(highest: number): Promise<void> {
    const { names, provision } = this.context;
    try {
      await this.run(delayEnds(names), provision);
      await inStages(delayBands([highest], names), (share) => this.run(share, provision));
    } catch (error) {
      const wait = `${bandOf(highest).reduce((sum, level) => sum + 2 ** level, 0)} ms`;
      this.rethrow(
        error,
        `the delay levels of «${names.exchange}» for waits of up to ${wait}`,
        'A process with «provision» true makes them: when it starts with a subscription that retries or delays for as long, or when it delays a message for as long',
      );
    }
    this.delays.add(highest);
  }

  /** Without the binding (the queue is gone, or not ours to bind) the forwarder delivers. */
  private async bindDue(queue: string): Promise<void> {
    const { names, provision } = this.context;
    if (provision) await this.run([dueBinding(queue, names)], true).catch(() => {});
    this.delays.add(queue);
  }

  private async run(operations: readonly Operation[], create: boolean): Promise<void> {
    const { connection, bound } = this.context;
    const model = connection.current;
    if (!model) throw new PublishFailedError('The connection to RabbitMQ was lost before the message was sent');
    await withChannel(model, bound, async (channel) => {
      for (const operation of operations) await (create ? perform : check)(channel, operation);
    });
  }

  private rethrow(error: unknown, what: string, remedy = 'Create it, or set «provision» to true'): never {
    const { connection, provision } = this.context;
    const redact = (text: string): string => connection.redact(text);
    const reason = redact(describe(error));
    // What is missing can come; what is there with other arguments, or forbidden, stays so.
    if (replyCode(error) === reply.notFound && !provision)
      throw new MissingTopologyError(`RabbitMQ does not have ${what}: ${reason}. ${remedy}`);
    const permanent = replyCode(error) === reply.notFound ? undefined : topologyMisconfiguration(error, what, redact);
    throw permanent ?? new PublishFailedError(`RabbitMQ cannot declare ${what}: ${reason}`);
  }
}
