import type { Context, Span, Tracer } from '@opentelemetry/api';
import { Logger } from '@nestjs/common';
import type { OpenTelemetryApi } from '../opentelemetry/api.js';

const CONTEXT = {} as Context;
const nothing = (): void => undefined;

/** As far as a span is used where nobody records. */
const SPAN = {
  isRecording: () => false,
  setAttribute: nothing,
  setAttributes: nothing,
  end: nothing,
} as unknown as Span;

export const SILENT_TRACER = { startSpan: () => SPAN } as unknown as Tracer;

/** What is used of OpenTelemetry's API, with no spans and nothing in headers: metrics need no package then. */
export const SILENT_API = {
  ROOT_CONTEXT: CONTEXT,
  SpanKind: { CLIENT: 2, PRODUCER: 3, CONSUMER: 4 },
  SpanStatusCode: { ERROR: 2 },
  context: {
    active: () => CONTEXT,
    with: (_: Context, work: (...args: unknown[]) => unknown, self: unknown, ...args: unknown[]) =>
      work.apply(self, args),
  },
  diag: { error: (what: string, why: string) => new Logger('Messaging').warn(`${what} ${why}`) },
  isSpanContextValid: () => false,
  propagation: { inject: nothing, extract: (context: Context) => context },
  trace: {
    deleteSpan: (context: Context) => context,
    getSpanContext: nothing,
    setSpan: (context: Context) => context,
  },
} as unknown as OpenTelemetryApi;
