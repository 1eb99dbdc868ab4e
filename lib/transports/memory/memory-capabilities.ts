import type { TransportCapabilities } from '../../transport/capabilities.js';

/** The longest delay, as on RabbitMQ. */
export const MAX_DELAY_MS = 2 ** 32 - 2 ** 22;

export function memoryCapabilities(maxBytes: number): TransportCapabilities {
  return {
    durable: false,
    unroutable: true,
    retry: 'copy',
    wildcards: true,
    maxDelayMs: MAX_DELAY_MS,
    deliveryCount: true,
    leaseMs: Infinity,
    confirmsAcks: true,
    maxBytes,
  };
}
