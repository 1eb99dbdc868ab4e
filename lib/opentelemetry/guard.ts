import { errorMessage } from '../errors/redact.js';
import type { OpenTelemetryApi } from './api.js';

const MAX_TOLD = 10;

/**
 * Keeps what fails in a tracer, meter, propagator or template of the application's own away from messages. It is told to
 * OpenTelemetry's diagnostic logger, once each.
 */
export class Guard {
  private readonly told = new Set<string>();

  constructor(private readonly api: OpenTelemetryApi) {}

  failed(error: unknown): void {
    const what = errorMessage(error);
    if (this.told.size >= MAX_TOLD || this.told.has(what)) return;
    this.told.add(what);
    this.api.diag.error('nestjs-messaging: telemetry failed:', what);
  }
}
