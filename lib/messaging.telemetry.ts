import type { Clock } from './clock/clock.js';
import type { MessagingEvents } from './events/messaging-events.js';
import type { TelemetryEnvironment, TelemetryState } from './pipeline/telemetry.js';
import type { Transport } from './transport/transport.js';

/** A connection as its telemetry sees it. */
export function telemetryEnvironment(
  messaging: { readonly connection: string; readonly events: MessagingEvents; health(): TelemetryState },
  transport: Transport,
  topic: string | undefined,
  clock: Clock,
): TelemetryEnvironment {
  const { connection, events } = messaging;
  return {
    connection,
    events,
    clock,
    system: transport.system,
    names: transport.telemetryNames,
    topic,
    get host() {
      return transport.host;
    },
    state: () => messaging.health(),
  };
}
