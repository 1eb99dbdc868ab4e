// OpenTelemetry as an application has it: `api`, no SDK is registered; `sdk`, every message is sampled, measured and thrown away.
import { context, propagation } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { openTelemetry } from './package.mjs';

let spans = 0;

const nowhere = {
  export(batch, done) {
    spans += batch.length;
    done({ code: ExportResultCode.SUCCESS });
  },
  shutdown: async () => {},
};

class Reader extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

/** The option for `forRoot`; undefined: none. */
export function telemetryOf(kind) {
  if (!kind) return undefined;
  if (kind === 'api') return openTelemetry();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spanProcessors = [new BatchSpanProcessor(nowhere, { maxQueueSize: 100_000, scheduledDelayMillis: 50 })];
  const tracer = new BasicTracerProvider({ spanProcessors }).getTracer('bench');
  const meter = new MeterProvider({ readers: [new Reader()] }).getMeter('bench');
  return openTelemetry({ tracer, meter });
}

/** Throws where nothing was traced that should have been: the figures would be those of something else. */
export function checkTelemetry(kind) {
  if (kind === 'sdk' && spans === 0) throw new Error('No span was made');
}
