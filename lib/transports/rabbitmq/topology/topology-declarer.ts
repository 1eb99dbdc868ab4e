import type { Channel, ChannelModel } from 'amqplib';
import type { Topology } from '../../../transport/topology.js';
import { withChannel } from '../connection/amqplib.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { describe, reply, replyCode, topologyMisconfiguration } from '../connection/broker-errors.js';
import { MessagingError } from '../../../errors/messaging-error.js';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import { NotConnectedError } from '../../../errors/publish-errors.js';
import { toldTogether } from '../../../errors/told-together.js';
import { type AdoptedQueue, AdoptedQueues } from './adopted-queues.js';
import { Comparison } from './comparison.js';
import { DelayBands } from './delay-bands.js';
import { delayEnds, dueBinding } from './delay-topology.js';
import { FirstDeclarations } from './first-declarations.js';
import type { FormerBindings } from './former-bindings.js';
import { Limited } from '../../kit/limited.js';
import type { Names } from '../names.js';
import { missingText } from './mismatch-text.js';
import { check, nameOf, perform, type Operation } from './operations.js';
import type { Settings } from '../options.js';
import { checkPartitions, keepsOrder } from '../queues/partition-count.js';
import type { RabbitmqConnection } from '../connection/connection.js';
import { exchangeOperations } from './exchanges.js';
import { hasSingleActiveConsumer, queueTypeOf, topologyOperations } from './topology.js';

/** Channels that declare at the same time. */
const MOST_CHANNELS = 32;

/** Declares the topologies of subscriptions. Declaring again is how a deleted queue comes back. */
export class TopologyDeclarer {
  /** What could not be declared yet. */
  readonly first = new FirstDeclarations();
  /** Each declaration takes a channel, of which a connection has some two thousand. */
  private readonly channels = new Limited(MOST_CHANNELS);
  /** The end of delays, declared on this connection since it was last forgotten. */
  private readonly delayEnds = new WeakMap<ChannelModel, Promise<void>>();
  private readonly bands: DelayBands;
  private readonly comparison: Comparison;
  private readonly adopted: AdoptedQueues;
  /** The topologies whose partitions were found right, or that have none. */
  private readonly counted = new WeakSet<Topology>();
  /** Declared on this connection and not consumed from yet. */
  private readonly justDeclared = new WeakMap<Topology, ChannelModel>();

  constructor(
    private readonly connection: RabbitmqConnection,
    private readonly names: Names,
    private readonly settings: Settings,
    private readonly provision: boolean,
    private readonly bound: AnswerTimeout,
    private readonly former: FormerBindings,
  ) {
    this.comparison = new Comparison(names, settings, (work) => this.ask(work));
    this.adopted = new AdoptedQueues((work) => this.ask(work));
    this.bands = new DelayBands(names, (operations, act) => this.run(operations, act));
  }

  async declare(topology: Topology): Promise<void> {
    const model = this.connection.current;
    await this.perform(topology);
    if (model) this.justDeclared.set(topology, model);
  }

  /** What exists with what is wanted, before anything is made. @throws TopologyMismatchError with every difference */
  async compare(topologies: readonly Topology[]): Promise<void> {
    if (!this.provision) return;
    try {
      await this.comparison.compare(topologies.filter(({ provision }) => provision));
    } catch (error) {
      throw error instanceof MessagingError ? error : this.declarationError(error, 'what exists already');
    }
  }

  /** What core needs to know of a queue, which is as we declare it, or as whoever made it has. */
  traitsOf(topology: Topology): { readonly counts: boolean; readonly mayStandBy: boolean } {
    const { queueType = queueTypeOf(topology, this.settings), hasSingleActiveConsumer: single } = (
      topology.adopt ? (this.adopted.of(topology.queue) ?? { queueType: 'unknown' }) : {}
    ) as Partial<AdoptedQueue>;
    return { counts: queueType === 'quorum', mayStandBy: single ?? hasSingleActiveConsumer(topology) };
  }

  private async perform(topology: Topology): Promise<void> {
    try {
      await this.make(topology);
    } catch (error) {
      if (!(error as MessagingError).retryable) this.first.settle(topology.queue);
      throw error;
    }
    this.first.settle(topology.queue);
  }

  private async make(topology: Topology): Promise<void> {
    await this.compare([topology]);
    if (topology.adopt) await this.adopt(topology);
    await this.checkPartitions(topology);
    const operations = topologyOperations(topology, this.names, this.settings);
    const model = this.connection.current;
    if (!this.provision || !topology.provision) {
      // An answer that something is missing closes its channel.
      const looked = operations.filter(({ kind }) => kind === 'queue' || kind === 'exchange');
      const looks = looked.map((operation) => this.run([operation], check));
      await toldTogether([...looks, this.bands.check(topology, model)]);
      await this.former.find(topology, operations, false);
      return;
    }
    const former = await this.former.find(topology, operations, true);
    // The end of delays, so that a retry reaches the queue by the broker alone.
    await this.ensureDelayEnds();
    try {
      await this.run([...operations, dueBinding(topology.queue, this.names)], perform);
    } catch (error) {
      this.forgetDelayEnds();
      throw error;
    }
    await this.former.unbind(former, topology);
    await this.bands.make(topology, model);
    // Somebody else may have made partitions, or another number of them, at the same time.
    await this.checkPartitions(topology);
    this.counted.add(topology);
  }

  private async adopt({ queue }: Topology): Promise<void> {
    let found: AdoptedQueue | undefined;
    try {
      found = await this.adopted.look(queue);
    } catch (error) {
      if (replyCode(error) === reply.notFound)
        throw new TopologyMismatchError(missingText({ kind: 'queue', name: queue }));
      throw error instanceof MessagingError ? error : this.declarationError(error, `the queue «${queue}»`);
    }
    if (found?.queueType === 'stream')
      throw new TopologyMismatchError(
        `The queue «${queue}» is a stream, whose messages cannot be settled. Bind a queue of another type, and adopt that`,
      );
  }

  /** At boot: later a partition that somebody deleted is made again. */
  private async checkPartitions(topology: Topology): Promise<void> {
    if (!keepsOrder(topology) || this.counted.has(topology)) return;
    await this.attempt(`the partitions of «${topology.queue}»`, (_, model) =>
      checkPartitions(model, this.bound, topology),
    );
  }

  /** For a consumer that begins, or begins again: what was declared for it a moment ago is not declared twice. */
  async declareToConsume(topology: Topology): Promise<void> {
    const declaredOn = this.justDeclared.get(topology);
    this.justDeclared.delete(topology);
    if (declaredOn === undefined || declaredOn !== this.connection.current) await this.perform(topology);
  }

  /** Again what was declared before: a binding that is gone comes back, what is only checked is left alone. */
  async renew(topology: Topology): Promise<void> {
    if (this.provision && topology.provision) await this.perform(topology);
  }

  /** What the forwarder consumes from. */
  async declareDelayEnds(): Promise<void> {
    await this.run(delayEnds(this.names), this.provision ? perform : check);
  }

  /** The ends of delays may have been deleted: the next topology declares them again. */
  forgetDelayEnds(): void {
    const model = this.connection.current;
    if (model) this.delayEnds.delete(model);
  }

  /** And the exchanges of the options: once for all topologies of a connection, for a thousand subscriptions share them. */
  private ensureDelayEnds(): Promise<void> {
    const model = this.connection.current;
    const declared = model && this.delayEnds.get(model);
    if (declared) return declared;
    const declaring = this.run([...exchangeOperations(this.settings.exchanges), ...delayEnds(this.names)], perform);
    if (model) {
      this.delayEnds.set(model, declaring);
      declaring.catch(() => this.delayEnds.delete(model));
    }
    return declaring;
  }

  /** Those of the options, also where no subscription uses them. */
  async declareExchanges(): Promise<void> {
    await this.run(exchangeOperations(this.settings.exchanges), this.provision ? perform : check);
  }

  async unbind(topology: Topology): Promise<void> {
    const operations = topologyOperations(topology, this.names, this.settings);
    await this.attempt(`the bindings of «${topology.queue}»`, async (channel) => {
      for (const one of operations)
        if (one.kind === 'binding' && one.queue === topology.queue)
          await channel.unbindQueue(one.queue, one.exchange, one.key, one.arguments);
    });
  }

  private async run(
    operations: readonly Operation[],
    act: (channel: Channel, operation: Operation) => Promise<void>,
  ): Promise<void> {
    let what = nameOf(operations[0]);
    await this.attempt(
      () => what,
      async (channel) => {
        for (const operation of operations) {
          what = nameOf(operation);
          const isTheirs = operation.kind === 'exchange' && this.comparison.isTheirs(operation.name);
          await (isTheirs ? check : act)(channel, operation);
        }
      },
      act === perform,
    );
  }

  /** Errors of the broker are left as they are. */
  private async ask(work: (channel: Channel) => Promise<void>): Promise<void> {
    const model = this.connection.current;
    if (!model) throw new NotConnectedError('Not connected to RabbitMQ');
    await this.channels.run(() => withChannel(model, this.bound, work));
  }

  private declarationError(error: unknown, name: string): MessagingError {
    const redact = (text: string): string => this.connection.redact(text);
    return (
      topologyMisconfiguration(error, name, redact) ??
      new NotConnectedError(`RabbitMQ did not declare ${name}: ${redact(describe(error))}`)
    );
  }

  private async attempt(
    what: string | (() => string),
    work: (channel: Channel, model: ChannelModel) => Promise<void>,
    makes = false,
  ): Promise<void> {
    const model = this.connection.current;
    if (!model) throw new NotConnectedError('Not connected to RabbitMQ');
    try {
      await this.channels.run(() => withChannel(model, this.bound, (channel) => work(channel, model)));
    } catch (error) {
      if (error instanceof TopologyMismatchError) throw error;
      const name = typeof what === 'string' ? what : what();
      // What was made a moment ago and is missing was deleted in between: the next declaration makes it again.
      if (makes && replyCode(error) === reply.notFound)
        throw new NotConnectedError(`RabbitMQ did not declare ${name}: ${this.connection.redact(describe(error))}`);
      throw this.declarationError(error, name);
    }
  }
}
