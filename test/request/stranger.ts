import type { TransportFactory } from 'nestjs-messaging';
import { systemClock } from '../../lib/clock/clock.js';
import type { Transport } from '../../lib/transport/transport.js';
import { waitFor } from '../brokers/wait-for.js';

/** Somebody who knows the address of a requester, and answers what he likes. */
export async function stranger(factory: TransportFactory): Promise<Transport> {
  const transport = factory.create();
  let connected = false;
  await transport.connect({
    ...{ clock: systemClock, service: 'stranger', random: Math.random, confirmTimeout: 10_000, provision: true },
    reconnect: { initial: 20, max: 200, jitter: 0.2 },
    onEvent: ({ type }) => void (connected ||= type === 'connected'),
  });
  await waitFor(() => connected, 'a connection', 60_000);
  return transport;
}
