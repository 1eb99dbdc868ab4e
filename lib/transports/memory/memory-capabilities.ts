import type { TransportCapabilities } from '../../transport/capabilities.js';

/** The longest delay, as on RabbitMQ. */
export const MAX_DELAY_MS = 2 ** 32 - 2 ** 22;

export function memoryCapabilities(maxBytes: number): TransportCapabilities {
  return {
    durable: false,
    retry: 'copy',
    wildcards: true,
    adopts: true,
    keyOrder: 'none',
    maxDelayMs: MAX_DELAY_MS,
    leaseMs: Infinity,
    maxBytes,
  };
}
