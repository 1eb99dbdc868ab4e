import type { Attributes, Context, Span } from '@opentelemetry/api';
import type { MessageContext } from '../pipeline/message-context.js';
import type { Handler } from '../pipeline/middleware.js';
import type { Outcome } from '../pipeline/outcome.js';
import type {
  BatchTrace,
  ConsumerTelemetry,
  ProcessTrace,
  ReceiveTrace,
  SettleOperation,
  SettleTrace,
  TelemetrySubscription,
  Within,
} from '../pipeline/telemetry.js';
import type { Delivery } from '../transport/delivery.js';
import { attribute } from './conventions.js';
import { errorType, failSpan } from './error-type.js';
import type { Guard } from './guard.js';
import { Labels } from './labels.js';
import type { ConnectionPlace, TelemetrySignals } from './signals.js';

interface SubscriptionLabels {
  readonly receive: Labels;
  readonly process: Labels;
  readonly ack: Labels;
  readonly retry: Labels;
  readonly 'dead-letter': Labels;
  readonly shared: Attributes;
}

/** Spans and measurements of one subscription. */
export class SubscriptionTelemetry implements ConsumerTelemetry {
  private labels: SubscriptionLabels;
  /** The context of a call, in which what becomes of its message is settled; of those that have such a span. */
  private readonly calls = new WeakMap<Delivery, Context>();

  constructor(
    private readonly signals: TelemetrySignals,
    private readonly guard: Guard,
    private readonly subscribed: TelemetrySubscription,
    private readonly place: ConnectionPlace,
  ) {
    this.labels = labelsOf(subscribed, place.shared);
  }

  receive(): ReceiveTrace | undefined {
    try {
      const { api, clock } = this.signals;
      return new ReceiveSpan(this, api.context.active(), clock.now(), clock.monotonic());
    } catch (error) {
      this.guard.failed(error);
      return undefined;
    }
  }

  process(delivery: Delivery, attempt: number): ProcessTrace | undefined {
    try {
      return this.begin(delivery, attempt);
    } catch (error) {
      this.guard.failed(error);
      return undefined;
    }
  }

  processBatch(deliveries: readonly Delivery[]): BatchTrace | undefined {
    try {
      return this.beginBatch(deliveries);
    } catch (error) {
      this.guard.failed(error);
      return undefined;
    }
  }

  settle(delivery: Delivery, operation: SettleOperation): SettleTrace | undefined {
    try {
      return this.beginSettling(delivery, this.current[operation]);
    } catch (error) {
      this.guard.failed(error);
      return undefined;
    }
  }

  dropped(): void {
    try {
      this.signals.dropped.add(1, this.current.process.succeeded.counted);
    } catch (error) {
      this.guard.failed(error);
    }
  }

  /** The broker's address in them changes where the connection goes to another node. */
  private get current(): SubscriptionLabels {
    if (this.labels.shared !== this.place.shared) this.labels = labelsOf(this.subscribed, this.place.shared);
    return this.labels;
  }

  private begin(delivery: Delivery, attempt: number): ProcessTrace {
    const { signals } = this;
    const { process: processing } = this.current;
    const { api, tracer, clock } = signals;
    const startedAt = clock.monotonic();
    const { counted } = processing.succeeded;
    if (!this.subscribed.pulled) signals.consumed.add(1, counted);
    if (attempt > 1 || delivery.deliveryCount) signals.redelivered.add(1, counted);
    const { message } = delivery;
    const origin = signals.extract(message.headers);
    const created = api.trace.getSpanContext(origin);
    // Not inside whatever span happens to be active where the broker's client reads its socket.
    const parent = api.trace.deleteSpan(origin);
    const options = {
      kind: api.SpanKind.CONSUMER,
      attributes: processing.span,
      ...(created && { links: [{ context: created }] }),
    };
    const span = tracer.startSpan(processing.spanName, options, parent);
    if (span.isRecording()) {
      this.describe(span, delivery);
      span.setAttribute(attribute.attempt, attempt);
    }
    const context = api.trace.setSpan(parent, span);
    if (this.subscribed.pulled) this.calls.set(delivery, context);
    return new HandlerTrace(this, delivery, span, context, startedAt);
  }

  private beginBatch(deliveries: readonly Delivery[]): BatchTrace {
    const { signals } = this;
    const { process: processing } = this.current;
    const { api, tracer, clock } = signals;
    const startedAt = clock.monotonic();
    const { counted } = processing.succeeded;
    signals.consumed.add(deliveries.length, counted);
    const again = deliveries.filter(({ deliveryCount }) => deliveryCount).length;
    if (again > 0) signals.redelivered.add(again, counted);
    const links = deliveries.flatMap(({ message }) => {
      const created = api.trace.getSpanContext(signals.extract(message.headers));
      return created ? [{ context: created }] : [];
    });
    const options = { kind: api.SpanKind.CONSUMER, attributes: processing.span, links };
    const span = tracer.startSpan(processing.spanName, options, api.ROOT_CONTEXT);
    span.setAttribute(attribute.batchSize, deliveries.length);
    const context = api.trace.setSpan(api.ROOT_CONTEXT, span);
    return {
      run: (handler, batch) => api.context.with(context, handler, undefined, batch),
      ended: (outcomes) => {
        for (const [at, { type }] of outcomes.entries()) if (type !== 'ack') this.calls.set(deliveries[at], context);
        // What failed says more than what did not.
        const outcome = outcomes.find(({ type }) => type !== 'ack' && type !== 'defer') ?? outcomes[0];
        const same = outcomes.every(({ type }) => type === outcome.type);
        this.end(span, startedAt, outcome, same ? outcome.type : 'partial');
      },
    };
  }

  private describe(span: Span, delivery: Delivery): void {
    const { message } = delivery;
    this.identify(span, delivery);
    const { correlationId } = message.properties;
    if (correlationId !== undefined) span.setAttribute(attribute.conversationId, correlationId);
    this.signals.routingKey(span, message.route);
  }

  private identify(span: Span, delivery: Delivery): void {
    const { id } = delivery.message;
    if (id !== '') span.setAttribute(attribute.messageId, id);
    const source = this.signals.naming.sourceOf(delivery);
    if (source !== undefined) span.setAttribute(attribute.destination, source);
  }

  private beginSettling(delivery: Delivery, labels: Labels): SettleTrace {
    const { signals } = this;
    const { api, tracer, clock } = signals;
    const startedAt = clock.monotonic();
    const call = this.calls.get(delivery);
    const origin = call ? undefined : api.trace.getSpanContext(signals.extract(delivery.message.headers));
    const options = {
      kind: api.SpanKind.CLIENT,
      attributes: labels.span,
      ...(origin && { links: [{ context: origin }] }),
    };
    const span = tracer.startSpan(labels.spanName, options, call ?? api.ROOT_CONTEXT);
    if (span.isRecording()) this.identify(span, delivery);
    return {
      ended: (error) => {
        try {
          const type = error === undefined ? undefined : errorType(error);
          if (type !== undefined) failSpan(api, span, type, error);
          const { timed } = type === undefined ? labels.succeeded : labels.failed(type);
          signals.operationDuration.record(signals.since(startedAt), timed);
          span.end();
        } catch (failure) {
          this.guard.failed(failure);
        }
      },
    };
  }

  /** The delivery was asked for, and is handed out now. @internal */
  received({ parent, askedAt, startedAt }: ReceiveSpan, delivery: Delivery): Within | undefined {
    const { signals } = this;
    const { receive } = this.current;
    const { api, tracer } = signals;
    try {
      const { message } = delivery;
      const created = api.trace.getSpanContext(signals.extract(message.headers));
      const options = {
        kind: api.SpanKind.CLIENT,
        attributes: receive.span,
        startTime: askedAt,
        ...(created && { links: [{ context: created }] }),
      };
      const span = tracer.startSpan(receive.spanName, options, parent);
      if (span.isRecording()) this.describe(span, delivery);
      const seconds = signals.since(startedAt);
      signals.consumed.add(1, receive.succeeded.counted);
      signals.operationDuration.record(seconds, receive.succeeded.timed);
      span.end(askedAt + seconds * 1_000);
    } catch (error) {
      this.guard.failed(error);
    }
    const call = this.calls.get(delivery);
    return call && ((work) => api.context.with(call, work));
  }

  /** @internal */
  ended({ delivery, span, context, startedAt }: HandlerTrace, outcome: Outcome): void {
    if (outcome.type !== 'ack') this.calls.set(delivery, context);
    this.end(span, startedAt, outcome, outcome.type);
  }

  private end(span: Span, startedAt: number, { type, reason, error }: Outcome, told: string): void {
    const { signals } = this;
    const { process: processing } = this.current;
    try {
      const succeeded = type === 'ack' || type === 'defer';
      const failure = succeeded ? undefined : error === undefined ? (reason ?? type) : errorType(error);
      if (failure !== undefined) failSpan(signals.api, span, failure, error ?? failure);
      const { counted } = failure === undefined ? processing.succeeded : processing.failed(failure);
      signals.processDuration.record(signals.since(startedAt), counted);
      span.setAttribute(attribute.outcome, told);
      span.end();
    } catch (defect) {
      this.guard.failed(defect);
    }
  }

  /** @internal */
  run(context: Context, handler: Handler, message: MessageContext): unknown {
    return this.signals.api.context.with(context, handler, undefined, message);
  }
}

/** A span `process <queue>`. */
class HandlerTrace implements ProcessTrace {
  constructor(
    private readonly telemetry: SubscriptionTelemetry,
    readonly delivery: Delivery,
    readonly span: Span,
    readonly context: Context,
    readonly startedAt: number,
  ) {}

  run(handler: Handler, message: MessageContext): unknown {
    return this.telemetry.run(this.context, handler, message);
  }

  ended(outcome: Outcome): void {
    this.telemetry.ended(this, outcome);
  }
}

/** A span `receive <queue>`: made when there is a message, since a link is to be there from its beginning. */
class ReceiveSpan implements ReceiveTrace {
  constructor(
    private readonly telemetry: SubscriptionTelemetry,
    readonly parent: Context,
    /** Milliseconds since the epoch, and by the monotonic clock. */
    readonly askedAt: number,
    readonly startedAt: number,
  ) {}

  received(delivery: Delivery): Within | undefined {
    return this.telemetry.received(this, delivery);
  }
}

function labelsOf({ queue, group }: TelemetrySubscription, shared: Attributes): SubscriptionLabels {
  const labels = (name: string, type: 'receive' | 'process' | 'settle'): Labels =>
    new Labels({ name, type, destination: queue, group }, shared);
  return {
    receive: labels('receive', 'receive'),
    process: labels('process', 'process'),
    ack: labels('ack', 'settle'),
    retry: labels('retry', 'settle'),
    'dead-letter': labels('dead-letter', 'settle'),
    shared,
  };
}
