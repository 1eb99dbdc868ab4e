import type { QueueReport } from './requeue-report.js';

/** OpenTelemetry's `messaging.system` of what a requeue service takes and sends. */
export const REQUEUE_SYSTEM = 'nats';

/** Where the statistics of a requeue service are collected: `openTelemetry()` of `nestjs-messaging/opentelemetry`. */
export interface RequeueTelemetry {
  /**
   * Reads the statistics whenever metrics are collected, until the returned function is called.
   * @throws MissingPeerError (as rejection)
   */
  observeRequeue(queues: () => readonly QueueReport[]): Promise<() => void>;
}
