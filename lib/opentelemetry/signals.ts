import type {
  Attributes,
  Context,
  Counter,
  Histogram,
  Meter,
  Span,
  TextMapGetter,
  TextMapPropagator,
  TextMapSetter,
  Tracer,
} from '@opentelemetry/api';
import type { Clock } from '../clock/clock.js';
import type { Headers } from '../message/headers.js';
import { SCOPE, type OpenTelemetryApi } from './api.js';
import { DURATION_BUCKETS, attribute, metric, type Metric } from './conventions.js';
import type { Naming } from './naming.js';
import type { OpenTelemetryOptions } from './options.js';

/** What spans and measurements of one connection are made with. */
export class TelemetrySignals {
  readonly tracer: Tracer;
  readonly meter: Meter;
  readonly operationDuration: Histogram;
  readonly processDuration: Histogram;
  readonly requestDuration: Histogram;
  readonly sent: Counter;
  readonly consumed: Counter;
  readonly redelivered: Counter;
  readonly deadLettered: Counter;
  readonly dropped: Counter;
  readonly limited: Counter;
  readonly recurring: Counter;
  readonly storeErrors: Counter;
  private readonly propagator: Pick<TextMapPropagator, 'inject' | 'extract'>;

  constructor(
    readonly api: OpenTelemetryApi,
    readonly naming: Naming,
    readonly clock: Clock,
    { tracer, meter, propagator }: OpenTelemetryOptions,
  ) {
    this.tracer = tracer ?? api.trace.getTracer(SCOPE);
    this.meter = meter ?? api.metrics.getMeter(SCOPE);
    this.propagator = propagator ?? api.propagation;
    this.operationDuration = this.histogram(metric.operationDuration);
    this.processDuration = this.histogram(metric.processDuration);
    this.requestDuration = this.histogram(metric.requestDuration);
    this.sent = this.counter(metric.sent);
    this.consumed = this.counter(metric.consumed);
    this.redelivered = this.counter(metric.redelivered);
    this.deadLettered = this.counter(metric.deadLettered);
    this.dropped = this.counter(metric.dropped);
    this.limited = this.counter(metric.limited);
    this.recurring = this.counter(metric.recurring);
    this.storeErrors = this.counter(metric.storeErrors);
  }

  inject(context: Context, headers: Record<string, unknown>): void {
    this.propagator.inject(context, headers, setter);
  }

  /** What a message says of where it comes from: the context it was created in, and baggage. */
  extract(headers: Headers): Context {
    return this.propagator.extract(this.api.ROOT_CONTEXT, headers, getter);
  }

  /** Seconds since a reading of the monotonic clock. */
  since(startedAt: number): number {
    return (this.clock.monotonic() - startedAt) / 1_000;
  }

  /** What the conventions for some brokers want besides. */
  routingKey(span: Span, route: string): void {
    const { routingKey } = this.naming;
    if (routingKey !== undefined && route !== '') span.setAttribute(routingKey, route);
  }

  private histogram({ name, unit, description }: Metric): Histogram {
    return this.meter.createHistogram(name, {
      unit,
      description,
      advice: { explicitBucketBoundaries: DURATION_BUCKETS },
    });
  }

  private counter({ name, unit, description }: Metric): Counter {
    return this.meter.createCounter(name, { unit, description });
  }
}

/** Where a connection leads to at this moment. */
export interface ConnectionPlace {
  readonly shared: Attributes;
}

/** Attributes that everything of a connection has; `host` is `address:port`, with more behind it or not. */
export function sharedAttributes({ system }: Naming, host: string): Attributes {
  const [, address, port] = /^(\[[^\]]+\]|[^\s,:/]+):(\d+)(?:\/[^,]*)?$/.exec(host) ?? [];
  return {
    ...system,
    ...(address !== undefined && { [attribute.serverAddress]: address, [attribute.serverPort]: Number(port) }),
  };
}

/** What the message has already is its publisher's wish. */
const setter: TextMapSetter<Record<string, unknown>> = {
  set: (headers, name, value) => {
    if (!(name in headers)) headers[name] = value;
  },
};

const getter: TextMapGetter<Headers> = {
  get: (headers, name) => {
    const value = headers[name];
    return typeof value === 'string' ? value : undefined;
  },
  keys: (headers) => Object.keys(headers),
};
