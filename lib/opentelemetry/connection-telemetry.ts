import type { Attributes } from '@opentelemetry/api';
import type { Headers } from '../message/headers.js';
import type {
  ConsumerTelemetry,
  PublishTrace,
  RequestTrace,
  Telemetry,
  TelemetryEnvironment,
  TelemetrySubscription,
} from '../pipeline/telemetry.js';
import type { Destination, Outgoing } from '../transport/outgoing.js';
import { loadApi, type OpenTelemetryApi } from './api.js';
import { attribute } from './conventions.js';
import { DestinationLabels } from './destination-labels.js';
import { errorType } from './error-type.js';
import { observeConnection } from './gauges.js';
import { Guard } from './guard.js';
import { Naming } from './naming.js';
import type { OpenTelemetryOptions } from './options.js';
import { RequestTelemetry } from './request-telemetry.js';
import { SendTrace } from './send-trace.js';
import { sharedAttributes, TelemetrySignals } from './signals.js';
import { SubscriptionTelemetry } from './subscription-telemetry.js';

/** There from the start of a connection to its end. */
interface TelemetryParts {
  readonly signals: TelemetrySignals;
  readonly guard: Guard;
  /** Both are those of the broker's node that the connection leads to. */
  destinations: DestinationLabels;
  shared: Attributes;
}

/** Spans and metrics of one connection. */
export class ConnectionTelemetry implements Telemetry {
  private parts: TelemetryParts | undefined;
  private readonly endings: (() => void)[] = [];

  constructor(
    private readonly options: OpenTelemetryOptions,
    private readonly environment: TelemetryEnvironment,
    private readonly load: () => Promise<OpenTelemetryApi> = loadApi,
  ) {}

  async start(): Promise<void> {
    const api = await this.load();
    const { system, names, topic, connection, host, clock, events } = this.environment;
    const { semanticConventions, destinationTemplate } = this.options;
    const guard = new Guard(api);
    const naming = new Naming(semanticConventions, system, topic, names);
    const signals = new TelemetrySignals(api, naming, clock, this.options);
    const shared = sharedAttributes(naming, host);
    const destinations = new DestinationLabels(shared, naming, destinationTemplate);
    const parts: TelemetryParts = { signals, guard, destinations, shared };
    this.parts = parts;
    const state = (): ReturnType<TelemetryEnvironment['state']> => this.environment.state();
    this.endings.push(
      events.on('connected', (connected) => this.moved(parts, connected.host)),
      observeConnection(signals.meter, guard, { naming, connection }, state),
      events.on('limited', ({ queue }) => signals.limited.add(1, { ...parts.shared, [attribute.destination]: queue })),
      events.on('recurring', ({ name, outcome }) =>
        signals.recurring.add(1, { ...naming.system, [attribute.recurringName]: name, [attribute.outcome]: outcome }),
      ),
      events.on('store-error', ({ operation, error }) =>
        signals.storeErrors.add(1, {
          ...naming.system,
          [attribute.storeOperation]: operation,
          [attribute.errorType]: errorType(error),
        }),
      ),
      events.on('dead-lettered', ({ delivery, reason, error }) =>
        signals.deadLettered.add(1, {
          ...parts.shared,
          [attribute.destination]: delivery.queue,
          [attribute.reason]: reason,
          ...(error !== undefined && { [attribute.errorType]: errorType(error) }),
        }),
      ),
    );
  }

  publish(to: Destination, headers: Headers | undefined): PublishTrace | undefined {
    const { parts } = this;
    if (!parts) return undefined;
    const { signals, guard, destinations } = parts;
    try {
      return SendTrace.publish(signals, guard, destinations.of(to), to, headers);
    } catch (error) {
      guard.failed(error);
      return undefined;
    }
  }

  resend(outgoing: Pick<Outgoing, 'to' | 'message'>): PublishTrace | undefined {
    const { parts } = this;
    if (!parts) return undefined;
    const { signals, guard, destinations } = parts;
    try {
      return SendTrace.resend(signals, guard, destinations.of(outgoing.to), outgoing);
    } catch (error) {
      guard.failed(error);
      return undefined;
    }
  }

  sent(to: Destination, error: unknown): void {
    const { parts } = this;
    if (!parts) return;
    try {
      const labels = parts.destinations.of(to);
      const { counted } = error === undefined ? labels.succeeded : labels.failed(errorType(error));
      parts.signals.sent.add(1, counted);
    } catch (failure) {
      parts.guard.failed(failure);
    }
  }

  consumer(subscription: TelemetrySubscription): ConsumerTelemetry | undefined {
    const { parts } = this;
    return parts && new SubscriptionTelemetry(parts.signals, parts.guard, subscription, parts);
  }

  request(route: string): RequestTrace | undefined {
    const { parts } = this;
    if (!parts) return undefined;
    const { signals, guard, destinations } = parts;
    try {
      const { spanName, succeeded } = destinations.of({ kind: 'route', route });
      const attributes = { ...succeeded.counted, [attribute.operationName]: 'request' };
      return new RequestTelemetry(signals, guard, attributes, `request${spanName.slice('send'.length)}`);
    } catch (error) {
      guard.failed(error);
      return undefined;
    }
  }

  private moved(parts: TelemetryParts, host: string): void {
    const { naming } = parts.signals;
    const shared = sharedAttributes(naming, host);
    if (shared[attribute.serverAddress] === parts.shared[attribute.serverAddress]) {
      if (shared[attribute.serverPort] === parts.shared[attribute.serverPort]) return;
    }
    parts.shared = shared;
    parts.destinations = new DestinationLabels(shared, naming, this.options.destinationTemplate);
  }

  close(): void {
    for (const end of this.endings.splice(0)) end();
  }
}
