import type { TelemetryNames } from '../../transport/telemetry-names.js';

export const TELEMETRY_NAMES: TelemetryNames = {
  routingKey: {
    '1.28': 'messaging.rabbitmq.destination.routing_key',
    '1.45': 'rabbitmq.destination.routing_key',
  },
  nameless: 'amq.default',
};
