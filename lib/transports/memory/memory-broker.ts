import { knownKeys } from '../../errors/option-checks.js';
import { brand } from '../../errors/brand.js';
import { systemClock, type Clock } from '../../clock/clock.js';
import { NotConnectedError, PublishFailedError } from '../../errors/publish-errors.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Topology } from '../../transport/topology.js';
import type { UnattendedQueue } from '../kit/former-queues.js';
import { Dispatcher } from './dispatcher.js';
import { MemoryFaults } from './memory-faults.js';
import { DEFAULT_MAX_BYTES, DEFAULT_MAX_MESSAGES, requireInteger, type MemoryBrokerOptions } from './memory-options.js';
import type { ReplyAddresses } from './memory-replies.js';
import type { MemoryQueue } from './memory-queue.js';
import { MessageRouter } from './message-router.js';
import { QueueDirectory, type Address } from './queue-directory.js';
import { Schedule } from './schedule.js';

/** A queue as an observer sees it. */
export interface MemoryQueueStatus {
  readonly name: string;
  readonly ready: number;
  readonly unsettled: number;
  readonly consumers: number;
}

/** One connected client, as the broker sees it. */
export interface BrokerClient {
  /** The connection ended. */
  disconnected(reason: string): void;
  /** The broker stopped (a reason) or goes on (undefined) taking publishes. */
  blocked(reason: string | undefined): void;
}

/** What a client means when it does not say so. */
export interface ClientDefaults {
  readonly topic: string;
  readonly deadLetterTopic: string;
  /** The largest body that this client sends. */
  readonly maxBytes: number;
}

/**
 * A message broker inside the process, with RabbitMQ's semantics: topic exchanges, queues with dead-letter queues,
 * prefetch, redelivery in order, confirms, delayed messages. Nothing is durable: it ends with the process.
 *
 * Hand one to several applications to connect them, or to a test to look into it and to make it fail (`faults`).
 * Throws InvalidOptionError for an option that is not what it must be.
 */
export class MemoryBroker {
  /** Makes the broker misbehave. */
  readonly faults: MemoryFaults;
  /** The largest body in bytes. */
  readonly maxBytes: number;
  /** @internal */
  readonly dispatcher = new Dispatcher();
  /** @internal */
  readonly replies: ReplyAddresses = new Map();
  private readonly schedule = new Schedule(() => this.clock);
  private readonly directory: QueueDirectory;
  private readonly router: MessageRouter;
  private readonly clients = new Set<BrokerClient>();
  private ownClock: Clock | undefined;
  private blockedBy: string | undefined;

  constructor(options: MemoryBrokerOptions = {}) {
    knownKeys('', options, ['clock', 'maxMessages', 'maxBytes']);
    this.ownClock = options.clock;
    this.maxBytes = requireInteger('maxBytes', options.maxBytes ?? DEFAULT_MAX_BYTES, 1);
    const maxMessages = requireInteger('maxMessages', options.maxMessages ?? DEFAULT_MAX_MESSAGES, 1);
    this.directory = new QueueDirectory(maxMessages, this.dispatcher, this.schedule);
    this.router = new MessageRouter(this.directory, this.schedule, () => this.clock.now());
    this.faults = new MemoryFaults({
      disconnect: (reason) => this.disconnectAll(reason),
      setBlocked: (reason) => this.setBlocked(reason),
      cancel: (queue, reason) => this.endConsumers(queue, (found) => found.cancelConsumers(reason)),
      deleteQueue: (name) => this.endConsumers(name, () => this.delete(name)),
    });
  }

  /** The queues that exist. */
  queues(): MemoryQueueStatus[] {
    return [...this.directory.queues.values()].map(({ name, ready, unsettled, consumerCount }) => ({
      name,
      ready,
      unsettled,
      consumers: consumerCount,
    }));
  }

  /** Messages and returns that wait for their time. */
  get delayed(): number {
    return this.schedule.size;
  }

  /** Delayed messages that no queue took when they were due. They wait for a binding. */
  get undeliverable(): number {
    return this.router.undeliverable;
  }

  /** @internal Returns why publishing is blocked, if it is. Throws NotConnectedError while connections are refused. */
  connect(client: BrokerClient, clock: Clock): string | undefined {
    const refusal = this.faults.refuseConnection();
    if (refusal !== undefined) throw new NotConnectedError(refusal);
    this.ownClock ??= clock;
    this.clients.add(client);
    return this.blockedBy;
  }

  /** @internal */
  leave(client: BrokerClient): void {
    this.clients.delete(client);
  }

  /** @internal */
  queue(name: string): MemoryQueue | undefined {
    return this.directory.queues.get(name);
  }

  /** @internal Throws TopologyMismatchError. */
  declare(topology: Topology, { topic, deadLetterTopic }: ClientDefaults, service: string, provision: boolean): void {
    const declaring = { topic: topology.topic ?? topic, deadLetterTopic, service };
    this.directory.declare(topology, declaring, provision);
    this.router.deliverUndelivered();
  }

  /** @internal Throws one TopologyMismatchError that tells every difference. */
  compare(topologies: readonly Topology[], defaults: ClientDefaults): void {
    this.directory.compare(topologies, defaults.deadLetterTopic);
  }

  /** @internal Deletes a queue with its messages. */
  delete(queue: string): void {
    this.directory.delete(queue)?.delete();
  }

  /** @internal Queues that the service has bound, that hold messages, and that nobody consumes. */
  unattended(service: string): UnattendedQueue[] {
    return this.directory.unattended(service);
  }

  /** @internal A client declares the queue for the first time. */
  unbindFormer(topology: Topology, defaults: ClientDefaults): void {
    this.directory.unbindFormer(topology, topology.topic ?? defaults.topic);
  }

  /** @internal */
  unbind(topology: Topology, defaults: ClientDefaults): void {
    this.directory.unbind(topology, topology.topic ?? defaults.topic);
  }

  /** @internal The fate of a publish; undefined: the broker never says. */
  publish(outgoing: Outgoing, defaults: ClientDefaults): PublishResult | undefined {
    const verdict = this.faults.judge(outgoing.to);
    if (verdict === 'lose-silently') return undefined;
    if (verdict === 'nack')
      return { status: 'failed', error: new PublishFailedError('The broker nacked the publish'), nacked: true };
    const result = this.router.store(
      addressOf(outgoing, defaults),
      outgoing,
      Math.min(defaults.maxBytes, this.maxBytes),
    );
    return verdict === 'take-silently' ? undefined : result;
  }

  private get clock(): Clock {
    return this.ownClock ?? systemClock;
  }

  private disconnectAll(reason: string): number {
    const clients = [...this.clients];
    this.clients.clear();
    for (const client of clients) client.disconnected(reason);
    return clients.length;
  }

  private setBlocked(reason: string | undefined): void {
    if (this.blockedBy === reason) return;
    this.blockedBy = reason;
    for (const client of [...this.clients]) client.blocked(reason);
  }

  private endConsumers(name: string, end: (queue: MemoryQueue) => void): number {
    const queue = this.directory.queues.get(name);
    const consumers = queue?.consumerCount ?? 0;
    if (queue) end(queue);
    return consumers;
  }
}

function addressOf({ to }: Outgoing, defaults: ClientDefaults): Address {
  if (to.kind === 'route') return { kind: 'route', topic: to.topic ?? defaults.topic, route: to.route };
  return to.kind === 'queue' ? to : { kind: 'dead-letter', topic: defaults.deadLetterTopic, route: to.route };
}

brand({ MemoryBroker });
