import type { Channel, ChannelModel, Replies } from 'amqplib';
import { TopologyMismatchError, UnsupportedError } from '../../../errors/configuration-errors.js';
import { MessagingError } from '../../../errors/messaging-error.js';
import { NotConnectedError } from '../../../errors/publish-errors.js';
import { sleep } from '../../../clock/sleep.js';
import type { MigrationStep, QueueMigration } from '../../../transport/provisioning.js';
import { withChannel } from '../connection/amqplib.js';
import { describe, reply, replyCode, topologyMisconfiguration } from '../connection/broker-errors.js';
import { Comparison } from '../topology/comparison.js';
import { argumentsText, type BindingRecord } from '../queues/declared-record.js';
import type { Management } from './management.js';
import { asideOf } from '../names.js';
import { check, type Operation, perform } from '../topology/operations.js';
import type { Ownership } from '../consuming/ownership.js';
import type { ProvisioningContext } from './provisioning-context.js';
import { queueArguments } from '../topology/topology.js';
import type { Wanted } from '../topology/wanted.js';

type QueueOperation = Extract<Operation, { readonly kind: 'queue' }>;
type QueueBinding = Extract<Operation, { readonly kind: 'binding' }>;

/** What was on its way to a queue when its last binding was taken away has come by then. */
const SETTLED_AFTER_MS = 1_000;
/** The management plugin counts every five seconds: what was taken of the queue before is counted by then. */
const COUNTED_AFTER_MS = 6_000;
/** What this has moved itself may still be counted as held. */
const COUNTED_WITHIN_MS = 11_000;

/** What there is of the queue, in the middle of anything. */
interface Standing {
  /** The queue of that name; undefined: none. */
  readonly queue: Replies.AssertQueue | undefined;
  readonly isAsWanted: boolean;
  /** As the broker told it where it is another. */
  readonly type: unknown;
  readonly aside: Replies.AssertQueue | undefined;
}

export interface MigrationContext extends ProvisioningContext {
  readonly wanted: readonly Wanted[];
  readonly record: BindingRecord | undefined;
  readonly management: Management | undefined;
  readonly ownership: Ownership;
}

/**
 * RabbitMQ changes no queue and renames none. So everything that leads to the queue is led to one beside it first, the
 * messages follow, the queue is made anew under its name, and they come back. Which of these is next the broker tells by
 * what is there: nothing is kept elsewhere.
 */
export class RabbitmqMigration implements QueueMigration {
  readonly outline: readonly string[];
  readonly warnings: readonly string[];
  private readonly wanted: Wanted<QueueOperation>;
  private readonly aside: string;
  private begun = false;
  /** Done since this began: what is led where can not be asked for. */
  private readonly led = new Set<'aside' | 'back'>();

  /** @throws TopologyMismatchError, UnsupportedError */
  constructor(
    queue: string,
    private readonly context: MigrationContext,
  ) {
    this.wanted = wantedQueue(queue, context.wanted);
    const { name } = this.wanted.operation;
    this.aside = asideOf(name);
    const isAsked = context.management !== undefined;
    const [bindings, held] = [
      `what others have bound to «${name}» is not seen, and its bindings go with the queue`,
      `messages of «${name}» that somebody holds without consuming (a look at dead letters, a redrive, the dashboard) are not seen, and go with the queue`,
    ];
    this.warnings = isAsked
      ? []
      : [
          `Without «rabbitmq.management» ${bindings}; and ${held}. End all that uses it, and bind anew what others have bound`,
        ];
    this.outline = [
      `lead what is routed to «${name}» to «${this.aside}» instead${isAsked ? '' : `: ${bindings}`}`,
      `move what waits in «${name}» there, in its order, each acked once its copy is confirmed`,
      `delete «${name}», empty and without consumers, and make it anew${isAsked ? '' : `: ${held}`}`,
      `lead to it again what was routed to it, and move all back`,
      `delete «${this.aside}», empty`,
    ];
  }

  async begin(): Promise<void> {
    this.begun = true;
    await this.keepOthersOut();
  }

  /** Again and again: with a connection that is lost goes what it held. */
  private async keepOthersOut(): Promise<void> {
    const { ownership } = this.context;
    if (this.begun) await ownership.acquire(this.aside, `Another process migrates «${this.wanted.operation.name}»`);
  }

  async next(): Promise<MigrationStep | undefined> {
    const { name } = this.wanted.operation;
    await this.keepOthersOut();
    const { queue, isAsWanted, type, aside } = await this.standing();
    if (!aside && !queue)
      throw new TopologyMismatchError(`There is no queue «${name}»: topology apply makes it, or the application`);
    if (!aside && isAsWanted) return undefined;
    if (queue && !isAsWanted) {
      this.refuseConsumed(name, queue);
      if (!this.led.has('aside')) {
        await this.refuseHeld(name);
        return this.step(this.outline[0], () => this.leadAside());
      }
      if (queue.messageCount > 0) return this.moving(name, this.aside, queue.messageCount);
      return this.step(`delete «${name}»`, () => this.remove(name, type === 'classic'));
    }
    if (!this.led.has('back'))
      return this.step(`make «${name}» and lead to it what was routed to it`, () => this.leadBack());
    if (aside!.messageCount > 0) return this.moving(this.aside, name, aside!.messageCount);
    return this.step(`delete «${this.aside}»`, () => this.remove(this.aside, this.asideType === 'classic'));
  }

  end(): Promise<void> {
    return this.context.ownership.release(this.aside);
  }

  private step(what: string, act: () => Promise<void>): MigrationStep {
    return { what, act: () => this.run(what, act) };
  }

  private moving(from: string, to: string, count: number): MigrationStep {
    return { what: `move ${count} messages from «${from}» to «${to}»`, move: { from, to } };
  }

  private async standing(): Promise<Standing> {
    const { names, settings, bound } = this.context;
    const { name } = this.wanted.operation;
    return this.ask(async (model) => {
      const looking = (queue: string): Promise<Replies.AssertQueue | undefined> =>
        withChannel(model, bound, (channel) => channel.checkQueue(queue)).catch((error: unknown) => {
          if (replyCode(error) === reply.notFound) return undefined;
          throw error;
        });
      const comparison = new Comparison(names, settings, (work) => withChannel(model, bound, work));
      const [{ differences, state }] = await comparison.look([this.wanted]);
      if (state === 'unknown') throw new TopologyMismatchError(`This user may not look at the queue «${name}»`);
      const type = differences.find((one) => one.name === 'x-queue-type');
      if (type?.found === 'stream')
        throw new UnsupportedError(`«${name}» is a stream, which keeps what was read: it cannot be emptied`);
      return {
        queue: await looking(name),
        isAsWanted: state === 'there' && differences.length === 0,
        type: type ? (type.found ?? 'classic') : (this.asideType ?? 'classic'),
        aside: await looking(this.aside),
      };
    });
  }

  /** What somebody holds without consuming any more. */
  private async refuseHeld(queue: string): Promise<void> {
    const { management, bound } = this.context;
    if (!management) return;
    let held: number | undefined;
    for (let waited = 0; waited <= COUNTED_WITHIN_MS; waited += SETTLED_AFTER_MS) {
      if (waited > 0) await sleep(bound.clock, SETTLED_AFTER_MS);
      held = (await management.queues()).find(({ name }) => name === queue)?.unsettled;
      if (held === 0) return;
    }
    throw new TopologyMismatchError(
      held === undefined
        ? `The management plugin does not tell how many messages of the queue «${queue}» are held by a process, which would be lost with it. Call this again once it counts`
        : `${held} messages of the queue «${queue}» are held by a process, and would be lost with it. End that process, and call this again; what the broker counts is some seconds old`,
    );
  }

  private refuseConsumed(queue: string, { consumerCount: count }: Replies.AssertQueue): void {
    if (count > 0)
      throw new TopologyMismatchError(
        `${count} consumers are at the queue «${queue}»: what they hold would be lost with it. End the processes that consume it, and call this again`,
      );
  }

  private get asideType(): unknown {
    return this.wanted.operation.arguments['x-queue-type'];
  }

  /** Nothing is unbound before it is bound elsewhere: in between a message comes twice, and not never. */
  private async leadAside(): Promise<void> {
    const { settings } = this.context;
    const type = this.asideType === 'quorum' ? 'quorum' : 'classic';
    const operation = {
      kind: 'queue' as const,
      name: this.aside,
      arguments: queueArguments(type, settings.deliveryLimit),
    };
    const bindings = await this.bindings();
    for (const needed of this.needed()) if (needed.kind === 'exchange') await this.provide(needed);
    await this.onChannel(async (channel) => {
      await perform(channel, operation);
      for (const one of bindings) await perform(channel, { ...one, queue: this.aside });
      for (const one of bindings) await unbind(channel, one);
    });
    this.led.add('aside');
  }

  private async leadBack(): Promise<void> {
    const { name } = this.wanted.operation;
    const bindings = await this.bindings();
    for (const needed of this.needed()) await this.provide(needed);
    await this.onChannel(async (channel) => {
      for (const one of bindings) await perform(channel, { ...one, queue: name });
      for (const one of bindings) await unbind(channel, { ...one, queue: this.aside });
    });
    this.led.add('back');
  }

  /** What is there stays as it is. */
  private async provide(operation: Operation): Promise<void> {
    try {
      await this.onChannel((channel) => (isLookable(operation) ? check : perform)(channel, operation));
    } catch (error) {
      if (replyCode(error) !== reply.notFound || !isLookable(operation)) throw error;
      await this.onChannel((channel) => perform(channel, operation));
    }
  }

  /** The queue, and what it refers to. */
  private needed(): Operation[] {
    const { operation: own, topology } = this.wanted;
    const { deadLetter } = topology ?? {};
    const { delay } = this.context.names;
    return this.context.wanted.flatMap(({ operation }): Operation[] => {
      if (operation.kind === 'exchange') return operation.name.startsWith(delay) ? [] : [operation];
      if (operation.kind === 'queue')
        return operation.name === deadLetter?.queue || operation === own ? [operation] : [];
      return operation.kind === 'binding' && operation.queue === deadLetter?.queue ? [operation] : [];
    });
  }

  /** All that is known to lead to the queue, whoever made it. */
  private async bindings(): Promise<QueueBinding[]> {
    const { wanted, record, management } = this.context;
    const { name } = this.wanted.operation;
    const others = (await management?.bindings())?.filter(({ source, isToQueue }) => source !== '' && isToQueue) ?? [];
    const known: QueueBinding[] = [
      ...wanted.flatMap(({ operation }): QueueBinding[] =>
        operation.kind === 'binding' && operation.queue === name ? [operation] : [],
      ),
      // What the broker tells is what there is.
      ...[...(management ? [] : (record ?? []))].flatMap(([, all]) =>
        all.flatMap((one) => (one.queue === name && !one.unbound ? [{ ...one, kind: 'binding' as const }] : [])),
      ),
      ...others
        .filter(({ destination }) => destination === name || destination === this.aside)
        .map((one): QueueBinding => ({
          ...{ kind: 'binding', queue: name, exchange: one.source, key: one.key, arguments: one.arguments },
        })),
    ];
    const key = (one: QueueBinding): string => JSON.stringify([one.exchange, one.key, argumentsText(one.arguments)]);
    return [...new Map(known.map((one) => [key(one), one])).values()];
  }

  /** A classic queue goes only when it is empty and unused; of a quorum queue the broker cannot be asked that. */
  private async remove(queue: string, atomically: boolean): Promise<void> {
    const { bound, management } = this.context;
    await sleep(bound.clock, management ? COUNTED_AFTER_MS : SETTLED_AFTER_MS);
    await this.refuseHeld(queue);
    await this.keepOthersOut();
    // Another one may have gone on while this was cut off.
    if ((await this.standing()).isAsWanted !== (queue === this.aside)) return;
    await this.onChannel(async (channel) => {
      // What a passive declare counts lags behind.
      const first = await channel.get(queue);
      if (first) return channel.nack(first);
      const { consumerCount } = await channel.checkQueue(queue);
      if (consumerCount > 0) return;
      const { messageCount: lost } = await channel.deleteQueue(
        queue,
        atomically ? { ifEmpty: true, ifUnused: true } : {},
      );
      if (lost > 0)
        throw new TopologyMismatchError(
          `${lost} messages came to «${queue}» by its name in the moment in which it was deleted, and are lost. RabbitMQ deletes a quorum queue whatever is in it: end what sends to it by name before`,
        );
    }).catch((error: unknown) => {
      // It is not empty, or in use: the next look says what to do.
      if (replyCode(error) !== reply.preconditionFailed) throw error;
    });
  }

  private ask<T>(work: (model: ChannelModel) => Promise<T>): Promise<T> {
    return this.context.ask(work);
  }

  /** What the broker answers is left as it is. */
  private async onChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const answer = await this.ask((model) =>
      withChannel(model, this.context.bound, work).then(
        (value) => ({ value }),
        (error: unknown) => {
          if (replyCode(error) === undefined) throw error;
          return { error };
        },
      ),
    );
    if ('error' in answer) throw answer.error;
    return answer.value;
  }

  private async run(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const { redact } = this.context;
      if (error instanceof MessagingError) throw error;
      throw topologyMisconfiguration(error, what, redact) ?? new NotConnectedError(redact(describe(error)));
    }
  }
}

/** AMQP cannot ask for bindings. */
function isLookable({ kind }: Operation): boolean {
  return kind === 'queue' || kind === 'exchange';
}

async function unbind(channel: Channel, { queue, exchange, key, arguments: given }: QueueBinding): Promise<void> {
  await channel.unbindQueue(queue, exchange, key, given ?? {});
}

/** @throws TopologyMismatchError, UnsupportedError */
function wantedQueue(queue: string, wanted: readonly Wanted[]): Wanted<QueueOperation> {
  const found = wanted.find(({ operation }) => operation.kind === 'queue' && operation.name === queue);
  if (!found) throw new TopologyMismatchError(`No subscription of the application has a queue «${queue}»`);
  const { operation, topology } = found as Wanted<QueueOperation>;
  if (operation.adopted)
    throw new UnsupportedError(`The queue «${queue}» is somebody else's («adopt»): it is used as it is`);
  if (!topology) throw new UnsupportedError(`«${queue}» is of the options of the transport`);
  if (topology.partitions !== undefined || topology.partitionOf !== undefined || topology.membersOf !== undefined)
    throw new UnsupportedError(
      `The queue «${queue}» is split by key: moving would lose the order of keys. How it is changed: the page on order per key`,
    );
  if (operation.name !== topology.queue && operation.name !== topology.deadLetter?.queue)
    throw new UnsupportedError(`«${queue}» is shared by all applications of this exchange, and is not migrated`);
  return found as Wanted<QueueOperation>;
}
