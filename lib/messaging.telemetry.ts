import type { Clock } from './clock/clock.js';
import type { Messaging } from './messaging.js';
import type { TelemetryEnvironment } from './pipeline/telemetry.js';
import type { Transport } from './transport/transport.js';

/** A connection as its telemetry sees it. */
export function telemetryEnvironment(
  messaging: Pick<Messaging, 'connection' | 'events' | 'health'>,
  transport: Transport,
  clock: Clock,
): TelemetryEnvironment {
  const { connection, events } = messaging;
  return {
    connection,
    events,
    clock,
    system: transport.system,
    get host() {
      return transport.host;
    },
    state: () => messaging.health(),
  };
}
