import type { Transport } from '../../../lib/transport/transport.js';

/** The embedded broker as one whose queues cannot be looked into. */
export function queueless<F extends { create(): Transport }>(factory: F): F {
  return { ...factory, create: () => Object.defineProperty(factory.create(), 'queues', { value: undefined }) };
}
