import type { Attributes, Context, Span } from '@opentelemetry/api';
import type { RequestTrace } from '../pipeline/telemetry.js';
import { attribute } from './conventions.js';
import { errorType, failSpan } from './error-type.js';
import type { Guard } from './guard.js';
import type { TelemetrySignals } from './signals.js';

/** A span `request <route>` around the send of a request and the wait for its reply, and its measurement. */
export class RequestTelemetry implements RequestTrace {
  private readonly span: Span;
  private readonly context: Context;
  private readonly startedAt: number;

  constructor(
    private readonly signals: TelemetrySignals,
    private readonly guard: Guard,
    /** Of the connection and the destination. */
    private readonly attributes: Attributes,
    /** `request order.created` */
    name: string,
  ) {
    const { api, tracer, clock } = signals;
    const active = api.context.active();
    this.startedAt = clock.monotonic();
    this.span = tracer.startSpan(name, { kind: api.SpanKind.CLIENT, attributes }, active);
    this.context = api.trace.setSpan(active, this.span);
  }

  run<T>(send: () => T): T {
    return this.signals.api.context.with(this.context, send);
  }

  ended(error: unknown): void {
    const { signals, span } = this;
    try {
      const failed = error === undefined ? undefined : errorType(error);
      const outcome = { [attribute.outcome]: failed === undefined ? 'answered' : 'failed' };
      if (failed !== undefined) failSpan(signals.api, span, failed, error);
      signals.requestDuration.record(signals.since(this.startedAt), {
        ...this.attributes,
        ...outcome,
        ...(failed !== undefined && { [attribute.errorType]: failed }),
      });
      span.setAttributes(outcome);
      span.end();
    } catch (failure) {
      this.guard.failed(failure);
    }
  }
}
