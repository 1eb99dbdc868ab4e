import { randomUUID } from 'node:crypto';
import type { Delivery } from '../../lib/transport/delivery.js';
import { CONFIRMED, type Outgoing } from '../../lib/transport/outgoing.js';
import type { Browser, QueueOperations } from '../../lib/transport/queue-operations.js';
import type { Topology } from '../../lib/transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  Transport,
  TransportEnvironment,
  TransportEvent,
  TransportSubscription,
} from '../../lib/transport/transport.js';

/** Passes everything on; each fault bends one thing. */
export class Faultless implements Transport {
  protected environment!: TransportEnvironment;

  constructor(protected readonly inner: Transport) {}

  get system(): string {
    return this.inner.system;
  }

  get capabilities(): Transport['capabilities'] {
    return this.inner.capabilities;
  }

  get host(): string {
    return this.inner.host;
  }

  connect(environment: TransportEnvironment): Promise<void> {
    this.environment = environment;
    return this.inner.connect(environment);
  }

  declare(topology: Topology): Promise<void> {
    return this.inner.declare(topology);
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.inner.publish(batch, done);
  }

  subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    return this.inner.subscribe(options, handlers);
  }

  get queues(): QueueOperations {
    return this.inner.queues!;
  }

  get replies(): Transport['replies'] {
    return this.inner.replies;
  }

  probe(): Promise<void> {
    return this.inner.probe();
  }

  native(): unknown {
    return this.inner.native();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  /** Publishes others in place of what was handed over, and answers for the originals. */
  protected publishInstead(batch: readonly Outgoing[], done: PublishDone, change: (one: Outgoing) => Outgoing): void {
    const originals = new Map(batch.map((outgoing) => [change(outgoing), outgoing]));
    this.inner.publish([...originals.keys()], (sent, result) => done(originals.get(sent) as Outgoing, result));
  }
}

/** The same delivery with some of it replaced. */
function bend(delivery: Delivery, changes: Partial<Delivery>): Delivery {
  const settle = {
    ack: () => delivery.ack(),
    ackConfirmed: () => delivery.ackConfirmed!(),
    release: (delayMs?: number) => delivery.release(delayMs),
    ...(delivery.extend && { extend: (ms: number) => delivery.extend!(ms) }),
  };
  const { message, queue, direct, topic, deliveryCount, raw } = delivery;
  return { message, queue, direct, topic, deliveryCount, raw, ...settle, ...changes };
}

/** Hands over bent deliveries, and reports the same ones as lost. */
function bending(change: (delivery: Delivery) => Partial<Delivery>): new (inner: Transport) => Transport {
  return class extends Faultless {
    override subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
      const bent = new WeakMap<Delivery, Delivery>();
      return this.inner.subscribe(options, {
        ...handlers,
        delivery: (delivery) => {
          const other = bend(delivery, change(delivery));
          bent.set(delivery, other);
          handlers.delivery(other);
        },
        lost: (delivery) => handlers.lost(bent.get(delivery) as Delivery),
        state: (consuming, reason) => handlers.state(consuming, reason),
      });
    }
  };
}

class PrefetchPlusOne extends Faultless {
  override subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    return this.inner.subscribe({ ...options, prefetch: options.prefetch + 1 }, handlers);
  }
}

class IgnoresDelay extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.publishInstead(batch, done, (outgoing) => ({ ...outgoing, dueAt: undefined }));
  }
}

/** One queue for all delays: none leaves before the one that was published before it. */
class HeadOfLineBlocking extends Faultless {
  private latest = 0;

  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.publishInstead(batch, done, (outgoing) => {
      if (outgoing.dueAt !== undefined) this.latest = Math.max(this.latest, outgoing.dueAt);
      return outgoing.dueAt === undefined ? outgoing : { ...outgoing, dueAt: this.latest };
    });
  }
}

class ConfirmsUnroutable extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.publishInstead(batch, done, (outgoing) => ({ ...outgoing, mandatory: false }));
  }
}

class ConfirmsBeforeStored extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    queueMicrotask(() => batch.forEach((outgoing) => done(outgoing, CONFIRMED)));
    this.environment.clock.after(50, () => this.inner.publish(batch, () => undefined));
  }
}

class ForgetsConsumersOnReconnect extends Faultless {
  private readonly subscriptions: TransportSubscription[] = [];

  override connect(environment: TransportEnvironment): Promise<void> {
    return super.connect({
      ...environment,
      onEvent: (event) => {
        if (event.type === 'disconnected') this.subscriptions.forEach((subscription) => void subscription.stop());
        environment.onEvent(event);
      },
    });
  }

  override async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    const subscription = await this.inner.subscribe(options, handlers);
    this.subscriptions.push(subscription);
    return subscription;
  }
}

/** Retries and dead letters by way of the topic. */
function leaking(kind: 'queue' | 'dead-letter'): new (inner: Transport) => Transport {
  return class extends Faultless {
    override publish(batch: readonly Outgoing[], done: PublishDone): void {
      this.inner.publish(batch, done);
      const leaks = batch.filter(({ to }) => to.kind === kind);
      const copies = leaks.map((outgoing): Outgoing => {
        const to = { kind: 'route', route: outgoing.message.route } as const;
        return { ...outgoing, to, mandatory: false };
      });
      this.inner.publish(copies, () => undefined);
    }
  };
}

class DeliversAfterStop extends Faultless {
  override async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    const inner = await this.inner.subscribe(options, handlers);
    let stopped = false;
    return {
      get consuming() {
        return inner.consuming && !stopped;
      },
      pause: () => inner.pause(),
      resume: () => inner.resume(),
      stop: async () => void (stopped = true),
    };
  }
}

/** One ack for all that was delivered before. */
class AcksWithAllBefore extends Faultless {
  override subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    const open: Delivery[] = [];
    return this.inner.subscribe(options, {
      ...handlers,
      delivery: (delivery) => {
        open.push(delivery);
        const ackConfirmed = async (): Promise<boolean> => {
          for (const one of open.splice(0, open.indexOf(delivery) + 1)) one.ack();
          return true;
        };
        handlers.delivery(bend(delivery, { ackConfirmed }));
      },
      lost: () => undefined,
      state: (consuming, reason) => handlers.state(consuming, reason),
    });
  }
}

/** What becomes of what is unsettled when the intake ends with `giveBack`. */
function givingBack(
  how: (held: readonly Delivery[], handlers: SubscribeHandlers) => void,
): new (inner: Transport) => Transport {
  return class extends Faultless {
    override async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
      const held: Delivery[] = [];
      const subscription = await this.inner.subscribe(options, {
        ...handlers,
        delivery: (delivery) => {
          held.push(delivery);
          handlers.delivery(delivery);
        },
      });
      return {
        get consuming() {
          return subscription.consuming;
        },
        pause: () => subscription.pause(),
        resume: () => subscription.resume(),
        stop: async (giveBack) => {
          await subscription.stop();
          if (giveBack) how(held, handlers);
        },
      };
    }
  };
}

class DoneTwice extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.inner.publish(batch, (outgoing, result) => {
      done(outgoing, result);
      done(outgoing, result);
    });
  }
}

class DoneWithin extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    for (const outgoing of batch) done(outgoing, CONFIRMED);
    this.inner.publish(batch, () => undefined);
  }
}

class NewIdForEachSending extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.publishInstead(batch, done, (outgoing) => {
      return { ...outgoing, message: { ...outgoing.message, id: randomUUID() } };
    });
  }
}

/** A resend of its own, besides the one of core: two copies are under way. */
class ResendsUnasked extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.inner.publish(batch, (outgoing, result) => {
      if (result.status === 'failed') this.inner.publish([outgoing], () => undefined);
      done(outgoing, result);
    });
  }
}

/** Nothing is known of a publish that failed. */
class NeverReportsFailure extends Faultless {
  override publish(batch: readonly Outgoing[], done: PublishDone): void {
    this.inner.publish(batch, (outgoing, result) => {
      if (result.status !== 'failed') done(outgoing, result);
    });
  }
}

class LostTwice extends Faultless {
  override subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    return this.inner.subscribe(options, {
      delivery: (delivery) => handlers.delivery(delivery),
      lost: (delivery) => [1, 2].forEach(() => handlers.lost(delivery)),
      state: (consuming, reason) => handlers.state(consuming, reason),
    });
  }
}

class BrowsingTakes extends Faultless {
  override get queues(): QueueOperations {
    return { ...super.queues, browse: (queue, rest) => this.browse(queue, rest) };
  }

  private async browse(queue: string, rest?: Browser): Promise<Browser> {
    const browser = await super.queues.browse(queue, rest);
    return {
      async next() {
        const delivery = await browser.next();
        delivery?.ack();
        return delivery;
      },
      arrived: () => browser.arrived(),
      behind: () => browser.behind(),
      close: () => browser.close(),
    };
  }
}

class BrowsingBeginsAnew extends Faultless {
  override get queues(): QueueOperations {
    const { queues } = this.inner;
    return { ...queues!, browse: (queue) => queues!.browse(queue) };
  }
}

class ProvisionsUnasked extends Faultless {
  override connect(environment: TransportEnvironment): Promise<void> {
    return super.connect({ ...environment, provision: true });
  }

  override declare(topology: Topology): Promise<void> {
    return this.inner.declare({ ...topology, provision: true });
  }
}

class TellsTheFirst extends Faultless {
  override get queues(): QueueOperations {
    const { queues } = this.inner;
    const compare = async (topologies: readonly Topology[]): Promise<void> => {
      for (const topology of topologies) await queues!.compare([topology]);
    };
    return { ...queues!, compare };
  }
}

class LeavesItsQueues extends Faultless {
  override declare({ exclusive: _, ...topology }: Topology): Promise<void> {
    return this.inner.declare(topology);
  }
}

/** What any of its transports has bound. */
const boundBefore: string[] = [];

class UnbindsOthers extends Faultless {
  override async declare(topology: Topology): Promise<void> {
    if (topology.patterns.length === 0) await this.inner.queues!.unbind({ ...topology, patterns: boundBefore });
    boundBefore.push(...topology.patterns);
    await this.inner.declare(topology);
  }
}

class SwallowsMismatch extends Faultless {
  override declare(topology: Topology): Promise<void> {
    return this.inner.declare(topology).catch(() => undefined);
  }
}

class RemembersRefused extends Faultless {
  private readonly refused: Topology[] = [];

  override connect(environment: TransportEnvironment): Promise<void> {
    const onEvent = (event: TransportEvent): void => {
      environment.onEvent(event);
      if (event.type !== 'connected') return;
      for (const topology of this.refused)
        this.inner.declare(topology).catch(({ message }: Error) => environment.onEvent({ type: 'warning', message }));
    };
    return super.connect({ ...environment, onEvent });
  }

  override async declare(topology: Topology): Promise<void> {
    await this.inner.declare(topology).catch((error: unknown) => {
      this.refused.push(topology);
      throw error;
    });
  }
}

class WarnsOfNothing extends Faultless {
  override connect(environment: TransportEnvironment): Promise<void> {
    const onEvent = (event: TransportEvent): void => {
      if (event.type !== 'warning') environment.onEvent(event);
    };
    return super.connect({ ...environment, onEvent });
  }
}

class ConnectedTwice extends Faultless {
  override connect(environment: TransportEnvironment): Promise<void> {
    const onEvent = (event: TransportEvent): void => {
      environment.onEvent(event);
      if (event.type === 'connected') environment.onEvent(event);
    };
    return super.connect({ ...environment, onEvent });
  }
}

class ClosesOnlyOnce extends Faultless {
  private closed = false;

  override close(): Promise<void> {
    if (this.closed) return Promise.reject(new Error('The transport is closed already'));
    this.closed = true;
    return this.inner.close();
  }
}

const noHeader = (delivery: Delivery): Partial<Delivery> => {
  const { traceparent: _, ...headers } = delivery.message.headers;
  return { message: { ...delivery.message, headers } };
};

const asText = ({ message }: Delivery): Partial<Delivery> => {
  return { message: { ...message, body: Buffer.from(message.body.toString('utf8')) } };
};

const ackedEarly = (delivery: Delivery): Partial<Delivery> => {
  delivery.ack();
  return {};
};

export interface PlantedFault {
  readonly fault: string;
  readonly plant: new (inner: Transport) => Transport;
  /** The case that has to notice. */
  readonly noticedBy: string;
  /** On a broker that leases what it delivers. */
  readonly leased?: true;
}

export const plantedFaults: readonly PlantedFault[] = [
  {
    fault: 'acks before the handler has settled',
    plant: bending(ackedEarly),
    noticedBy: 'what is unsettled when its transport closes is delivered again',
  },
  {
    fault: 'hands out one more than its prefetch',
    plant: PrefetchPlusOne,
    noticedBy: 'a prefetch of 1 is filled and never exceeded',
  },
  {
    fault: 'drops a header',
    plant: bending(noHeader),
    noticedBy: 'headers arrive as they were sent, and no others',
  },
  {
    fault: 'changes the bytes of the body',
    plant: bending(asText),
    noticedBy: 'a body arrives byte for byte: every byte value',
  },
  {
    fault: 'hands out the bytes of its message as the broker’s own object',
    plant: bending(({ message }) => ({ raw: { content: message.body } })),
    noticedBy: 'what is done to the broker’s own object changes neither the message nor its redelivery',
  },
  {
    fault: 'ignores the delay',
    plant: IgnoresDelay,
    noticedBy: 'a delayed message to a queue by its name comes when it is due, not earlier',
  },
  {
    fault: 'lets a long delay hold up a short one',
    plant: HeadOfLineBlocking,
    noticedBy: 'no head-of-line blocking: a short delay comes before a long one that was published earlier',
  },
  {
    fault: 'confirms what no queue takes',
    plant: ConfirmsUnroutable,
    noticedBy: 'unroutable is reported for its own message among many good ones',
  },
  {
    fault: 'confirms before it is stored',
    plant: ConfirmsBeforeStored,
    noticedBy: 'a confirmed message is in its queue',
  },
  {
    fault: 'forgets its consumers on reconnect',
    plant: ForgetsConsumersOnReconnect,
    noticedBy: 'a subscription comes back by itself after a lost connection',
  },
  {
    fault: 'leaks dead letters to everybody',
    plant: leaking('dead-letter'),
    noticedBy: 'group privacy: a subscriber of # or *.* sees no dead letter',
  },
  {
    fault: 'leaks retries to everybody',
    plant: leaking('queue'),
    noticedBy: 'group privacy: a subscriber of # or *.* sees no delayed retry',
  },
  {
    fault: 'throws away what is released',
    plant: bending((delivery) => ({ release: () => delivery.ack() })),
    noticedBy: 'a released message is delivered again, to the same or to another consumer',
  },
  {
    fault: 'never lets go of an acked message',
    plant: bending(() => ({ ack: () => undefined })),
    noticedBy: 'an acked message is gone',
  },
  {
    fault: 'calls an ack confirmed that it has not sent',
    plant: bending(() => ({ ackConfirmed: async () => true })),
    noticedBy: 'a confirmed ack outlives its connection: the message does not come again',
  },
  {
    fault: 'acks together with a message all that came before it',
    plant: AcksWithAllBefore,
    noticedBy: 'each ack is confirmed for itself: what is held beside it, before or after, stays unsettled',
  },
  {
    fault: 'calls the ack of a lost delivery confirmed',
    plant: bending((delivery) => ({ ackConfirmed: () => delivery.ackConfirmed!().then(() => true) })),
    noticedBy: 'an ack of what is settled or lost is answered with false, and does not reject',
  },
  {
    fault: 'rejects where an ack cannot be confirmed',
    plant: bending((delivery) => ({
      ackConfirmed: async () => {
        if (!(await delivery.ackConfirmed!())) throw new Error('lost');
        return true;
      },
    })),
    noticedBy: 'an ack of what is settled or lost is answered with false, and does not reject',
  },
  {
    fault: 'does not extend a lease',
    plant: bending(() => ({ extend: async () => undefined })),
    noticedBy: 'a delivery that is extended stays ours beyond its lease, and is settled then',
    leased: true,
  },
  {
    fault: 'extends what is lost by taking it again',
    plant: bending((delivery) => ({
      extend: () => (delivery.release(), Promise.reject(new Error('not found'))),
    })),
    noticedBy: 'extending what is settled or lost does nothing',
    leased: true,
  },
  {
    fault: 'throws away what stop(giveBack) should give back',
    plant: givingBack((held) => held.forEach((delivery) => delivery.ack())),
    noticedBy:
      'stop(giveBack) gives back all that is unsettled with the end of the intake and tells so, or leaves all of it',
  },
  {
    fault: 'calls lost what stop(giveBack) did not give back',
    plant: givingBack((held, { lost }) => held.forEach((delivery) => (delivery.ack(), lost(delivery)))),
    noticedBy:
      'stop(giveBack) gives back all that is unsettled with the end of the intake and tells so, or leaves all of it',
  },
  {
    fault: 'gives back only a part with stop(giveBack)',
    plant: givingBack(([first], { lost }) => {
      first?.release();
      if (first) lost(first);
    }),
    noticedBy:
      'stop(giveBack) gives back all that is unsettled with the end of the intake and tells so, or leaves all of it',
  },
  {
    fault: 'delivers after stop',
    plant: DeliversAfterStop,
    noticedBy: 'after stop nothing comes, what came before can still be acked, the rest waits for others',
  },
  {
    fault: 'reports a result twice',
    plant: DoneTwice,
    noticedBy: 'done is called once per message of a batch, for that message, and not from within publish',
  },
  {
    fault: 'reports a result from within publish',
    plant: DoneWithin,
    noticedBy: 'done is called once per message of a batch, for that message, and not from within publish',
  },
  {
    fault: 'reports no failure',
    plant: NeverReportsFailure,
    noticedBy: 'while disconnected a publish fails, does not throw, and can be sent again later',
  },
  {
    fault: 'gives each sending a new id',
    plant: NewIdForEachSending,
    noticedBy: 'a lost confirm: failed after confirmTimeout, one resend is a duplicate with the same id, never a loss',
  },
  {
    fault: 'resends by itself what it reports as failed',
    plant: ResendsUnasked,
    noticedBy: 'a lost confirm: failed after confirmTimeout, one resend is a duplicate with the same id, never a loss',
  },
  {
    fault: 'reports a delivery lost twice',
    plant: LostTwice,
    noticedBy: 'deliveries under way are reported lost once, cannot be settled any more, and come again',
  },
  {
    fault: 'takes what it only browses',
    plant: BrowsingTakes,
    noticedBy: 'a browser sees every message of a queue in order, complete, and gives all back',
  },
  {
    fault: 'begins anew where a look is to be gone on with',
    plant: BrowsingBeginsAnew,
    noticedBy:
      'a closed browser is gone on with: what it gave back comes again, what came to the queue since is only counted',
  },
  {
    fault: 'creates queues with provision: false',
    plant: ProvisionsUnasked,
    noticedBy: 'provision: false in the topology: a missing queue is a TopologyMismatchError and is not created',
  },
  {
    fault: 'takes over a queue that contradicts',
    plant: SwallowsMismatch,
    noticedBy: 'declaring with another dead-letter queue is a TopologyMismatchError that names the queue',
  },
  {
    fault: 'goes on with a topology that was refused',
    plant: RemembersRefused,
    noticedBy: 'a topology that was refused is forgotten: nothing tells of it when the connection is back',
  },
  {
    fault: 'tells the first difference only',
    plant: TellsTheFirst,
    noticedBy: 'comparing tells every difference of every topology in one error, and makes nothing',
  },
  {
    fault: 'leaves the queues of its process behind',
    plant: LeavesItsQueues,
    noticedBy: 'each of two exclusive queues gets every message, and ends with its transport, with what it has',
  },
  {
    fault: 'takes bindings away from a queue that is declared without any',
    plant: UnbindsOthers,
    noticedBy:
      'a queue that is declared without patterns keeps what others have bound, and takes what is sent by its name',
  },
  {
    fault: 'does not warn',
    plant: WarnsOfNothing,
    noticedBy:
      'the queue of a subscription that was removed is told once, when it fills and nobody consumes it; it is left alone',
  },
  {
    fault: 'reports connected twice',
    plant: ConnectedTwice,
    noticedBy: 'connect reports connected, once',
  },
  {
    fault: 'can be closed only once',
    plant: ClosesOnlyOnce,
    noticedBy: 'close can be called twice, at once and later',
  },
];
