import type { Transport } from '../../../lib/transport/transport.js';

/** The embedded broker as a transport that retries by redelivery: its queues hold what is released, and count it. */
export function redelivering<F extends { create(): Transport }>(factory: F): F {
  return {
    ...factory,
    create() {
      const transport = factory.create();
      const capabilities = { ...transport.capabilities, retry: 'redelivery' as const };
      return Object.defineProperty(transport, 'capabilities', { value: capabilities });
    },
  };
}
