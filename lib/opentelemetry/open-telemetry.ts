import type { Meter } from '@opentelemetry/api';
import type { TelemetryFactory } from '../pipeline/telemetry.js';
import type { RequeueTelemetry } from '../requeue/requeue-telemetry.js';
import { loadApi, SCOPE } from './api.js';
import { ConnectionTelemetry } from './connection-telemetry.js';
import { observeQueues } from './gauges.js';
import { Guard } from './guard.js';
import { checkOpenTelemetryOptions, type OpenTelemetryOptions } from './options.js';

/**
 * Spans and metrics by OpenTelemetry's semantic conventions, for the option `telemetry` of `MessagingModule` and of
 * `RequeueModule`. It needs `@opentelemetry/api`; without it the application does not start (MissingPeerError). With no
 * SDK registered it costs next to nothing and makes nothing.
 *
 * @example
 * MessagingModule.forRoot({ service: 'orders', telemetry: openTelemetry() })
 *
 * @throws InvalidOptionError
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): TelemetryFactory & RequeueTelemetry {
  const checked = checkOpenTelemetryOptions(options);
  return {
    create: (environment) => new ConnectionTelemetry(checked, environment),
    observeRequeue: async (queues) => {
      const api = await loadApi();
      const meter: Meter = checked.meter ?? api.metrics.getMeter(SCOPE);
      return observeQueues(meter, new Guard(api), checked.semanticConventions, queues);
    },
  };
}
