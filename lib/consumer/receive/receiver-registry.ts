import type { CancelTimer } from '../../clock/clock.js';
import { PublisherClosedError } from '../../errors/publish-errors.js';
import { errorMessage } from '../../errors/redact.js';
import type { Log } from '../../events/log.js';
import type { ConsumerTelemetry, Telemetry } from '../../pipeline/telemetry.js';
import type { Consumer } from '../consumer.js';
import type { ConsumerRegistry } from '../consumer-registry.js';
import { OnDemand } from '../schedule/on-demand.js';
import { Receiver } from './receiver.js';
import { mergeByQueue } from '../subscription/router.js';
import type { SubscriptionDefinition } from '../subscription/subscription-definition.js';

export interface ReceiversEnvironment {
  readonly consumers: ConsumerRegistry;
  readonly log: Log;
  readonly telemetry?: Telemetry;
  /** A signal that is aborted after `shutdownTimeout`. */
  deadline(): { readonly signal: AbortSignal; readonly cancel: CancelTimer };
  /** A loop has begun to consume. */
  started(): void;
}

/** The loops of one connection: each is a subscription whose messages are asked for. */
export class ReceiverRegistry {
  private readonly open = new Set<Receiver>();
  private closed = false;

  constructor(private readonly environment: ReceiversEnvironment) {}

  /** @throws SubscriptionConflictError when the queue has a subscription already */
  receive<Payload>(definition: SubscriptionDefinition, signal: AbortSignal | undefined): Receiver<Payload> {
    if (this.closed) throw new PublisherClosedError('The application is shutting down: nothing can be received');
    const { environment } = this;
    const { consumers, log } = environment;
    const receiver = new Receiver<Payload>(signal, definition.middleware.length > 0);
    const concurrency = new OnDemand(receiver);
    const [handled] = mergeByQueue([
      { definition: { ...definition, concurrency }, handler: (context) => receiver.handle(context) },
    ]);
    consumers.checkFree(handled.definition);
    let consumer: Consumer | undefined;
    let limit: ReturnType<ReceiversEnvironment['deadline']>;
    let telemetry: ConsumerTelemetry | undefined;
    const { group, topology } = handled.definition;
    return receiver.from({
      // The telemetry is not there before the connection has been started.
      get telemetry() {
        return (telemetry ??= environment.telemetry?.consumer({ queue: topology.queue, group, pulled: true }));
      },
      start: async () => {
        this.open.add(receiver);
        consumer = consumers.addSingle(handled, receiver);
        await consumers.start(consumer);
        environment.started();
      },
      asked: () => consumer?.advance(),
      arrived: (delivery) => concurrency.arrived(delivery),
      leave: async () => {
        this.open.delete(receiver);
        limit = environment.deadline();
        if (consumer) await consumers.leave(consumer, limit.signal);
      },
      left: () => {
        if (!consumer) return limit.cancel();
        consumers
          .finish(consumer, limit.signal)
          .catch((error: unknown) => log.error(`«${consumer?.queue}» could not be left: ${errorMessage(error)}`))
          .finally(() => limit.cancel());
      },
    });
  }

  /** All loops end; what they hold is for `ConsumerRegistry.stop` to wait for. */
  end(): void {
    this.closed = true;
    for (const receiver of this.open) void receiver.end();
  }
}
