import type { Span } from '@opentelemetry/api';
import { MessagingError } from '../errors/messaging-error.js';
import { errorMessage, redactCredentials } from '../errors/redact.js';
import { textIn } from '../errors/thrown-value.js';
import type { OpenTelemetryApi } from './api.js';
import { attribute } from './conventions.js';

/** What the conventions say for an error that has no name. */
export const OTHER_ERROR = '_OTHER';
const MAX_NAME = 100;

/** A word for the kind of an error: our code, else its class. It never throws, whatever was thrown. */
export function errorType(error: unknown): string {
  try {
    if (error instanceof MessagingError) return error.code;
    if (!(error instanceof Error)) return OTHER_ERROR;
    const name: unknown = error.name && error.name !== 'Error' ? error.name : error.constructor.name;
    return typeof name === 'string' && name !== '' ? name.slice(0, MAX_NAME) : OTHER_ERROR;
  } catch {
    return OTHER_ERROR;
  }
}

/** Says on a span that what it stands for has failed; without credentials. */
export function failSpan(api: OpenTelemetryApi, span: Span, type: string, error: unknown): void {
  if (!span.isRecording()) return;
  const message = errorMessage(error);
  span.setAttribute(attribute.errorType, type);
  span.setStatus({ code: api.SpanStatusCode.ERROR, message });
  if (error instanceof Error)
    span.recordException({ name: type, message, stack: redactCredentials(textIn(() => error.stack) ?? '') });
}
