import type { Context, Link, Span } from '@opentelemetry/api';
import type { Headers } from '../message/headers.js';
import type { PublishTrace } from '../pipeline/telemetry.js';
import type { Destination, Outgoing } from '../transport/outgoing.js';
import { attribute } from './conventions.js';
import { errorType, failSpan } from './error-type.js';
import type { Guard } from './guard.js';
import type { Labels } from './labels.js';
import { routeOf } from './naming.js';
import type { TelemetrySignals } from './signals.js';

/** A span `send <destination>`, and its measurement. */
export class SendTrace implements PublishTrace {
  private constructor(
    private readonly signals: TelemetrySignals,
    private readonly guard: Guard,
    private readonly labels: Labels,
    private readonly span: Span,
    /** What the message travels with; undefined: it has a context already. */
    private readonly context: Context | undefined,
    private readonly startedAt: number,
  ) {}

  /**
   * A publish, inside the caller's active span. Where the caller has put a context into the headers, that is the
   * message's: the span only links to it.
   */
  static publish(
    signals: TelemetrySignals,
    guard: Guard,
    labels: Labels,
    to: Destination,
    headers: Headers | undefined,
  ): SendTrace {
    const { api, tracer, clock } = signals;
    const startedAt = clock.monotonic();
    const active = api.context.active();
    const given = headers && api.trace.getSpanContext(signals.extract(headers));
    const created = given && api.isSpanContextValid(given);
    const span = tracer.startSpan(
      labels.spanName,
      {
        kind: created ? api.SpanKind.CLIENT : api.SpanKind.PRODUCER,
        attributes: labels.span,
        ...(created && { links: [{ context: given }] satisfies Link[] }),
      },
      active,
    );
    describe(signals, labels, span, to);
    const context = created ? undefined : api.trace.setSpan(active, span);
    return new SendTrace(signals, guard, labels, span, context, startedAt);
  }

  /** One more send of a message that waited: it belongs to the publish whose context the message has. */
  static resend(
    signals: TelemetrySignals,
    guard: Guard,
    labels: Labels,
    { to, message: { id, headers } }: Pick<Outgoing, 'to' | 'message'>,
  ): SendTrace {
    const { api, tracer, clock } = signals;
    const startedAt = clock.monotonic();
    const options = { kind: api.SpanKind.CLIENT, attributes: labels.span };
    const span = tracer.startSpan(labels.spanName, options, signals.extract(headers));
    describe(signals, labels, span, to);
    if (span.isRecording()) span.setAttribute(attribute.messageId, id);
    return new SendTrace(signals, guard, labels, span, undefined, startedAt);
  }

  inject(id: string, headers: Record<string, unknown>, correlationId: string | undefined): void {
    try {
      if (this.span.isRecording()) {
        this.span.setAttribute(attribute.messageId, id);
        if (correlationId !== undefined) this.span.setAttribute(attribute.conversationId, correlationId);
      }
      if (this.context) this.signals.inject(this.context, headers);
    } catch (error) {
      this.guard.failed(error);
    }
  }

  confirmed(): void {
    this.end('confirmed', undefined);
  }

  queued(): void {
    this.end('queued', undefined);
  }

  failed(error: unknown): void {
    this.end('failed', error);
  }

  private end(outcome: 'confirmed' | 'queued' | 'failed', error: unknown): void {
    const { signals, labels, span } = this;
    try {
      const type = outcome === 'failed' ? errorType(error) : undefined;
      if (type !== undefined) failSpan(signals.api, span, type, error);
      const { timed } = type === undefined ? labels.succeeded : labels.failed(type);
      signals.operationDuration.record(signals.since(this.startedAt), timed);
      span.setAttribute(attribute.outcome, outcome);
      span.end();
    } catch (failure) {
      this.guard.failed(failure);
    }
  }
}

function describe(signals: TelemetrySignals, labels: Labels, span: Span, to: Destination): void {
  if (!span.isRecording()) return;
  if (!labels.named) span.setAttribute(attribute.destination, signals.naming.destinationOf(to));
  signals.routingKey(span, routeOf(to));
}
