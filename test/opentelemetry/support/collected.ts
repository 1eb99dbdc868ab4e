import { context, diag, DiagLogLevel, type Meter, propagation, type Tracer } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  type DataPoint,
  type Histogram,
  MeterProvider,
  type MetricData,
  MetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { waitFor } from '../../brokers/wait-for.js';

/** Collects when it is asked to, never by a timer. */
class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

export const propagator = new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
});

/** What one test's spans and metrics become: OpenTelemetry's own SDK, kept in memory. */
export class Collected {
  readonly tracer: Tracer;
  readonly meter: Meter;
  private readonly exporter = new InMemorySpanExporter();
  private readonly reader = new Reader();

  constructor() {
    this.tracer = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(this.exporter)],
    }).getTracer('test');
    this.meter = new MeterProvider({ readers: [this.reader] }).getMeter('test');
  }

  /** Spans that have ended, in the order of their ends. */
  get spans(): ReadableSpan[] {
    return this.exporter.getFinishedSpans();
  }

  named(name: string): ReadableSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  /** The first so many spans of a name, once they have ended. */
  async ended(name: string, count = 1): Promise<ReadableSpan[]> {
    await waitFor(() => this.named(name).length >= count, `${count} × «${name}»`, 30_000);
    return this.named(name);
  }

  async metrics(): Promise<Map<string, MetricData>> {
    const { resourceMetrics, errors } = await this.reader.collect();
    if (errors.length > 0) throw errors[0];
    return new Map(
      resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics).map((one) => [one.descriptor.name, one]),
    );
  }

  /** The points of a metric, each with its attributes. */
  async points(name: string): Promise<{ attributes: Record<string, unknown>; value: unknown }[]> {
    const found = (await this.metrics()).get(name);
    return ((found?.dataPoints ?? []) as DataPoint<number>[]).map(({ attributes, value }) => ({ attributes, value }));
  }

  async histogram(name: string): Promise<DataPoint<Histogram>[]> {
    return ((await this.metrics()).get(name)?.dataPoints ?? []) as DataPoint<Histogram>[];
  }
}

/** What OpenTelemetry's diagnostic logger was told. */
export const diagnosed: string[] = [];

/** As an application's SDK does at its start. */
export function registerGlobals(): void {
  const told = (...parts: unknown[]): void => void diagnosed.push(parts.map(String).join(' '));
  const logger = { error: told, warn: told, info: told, debug: told, verbose: told };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(propagator);
}

export function unregisterGlobals(): void {
  context.disable();
  propagation.disable();
  diag.disable();
}
