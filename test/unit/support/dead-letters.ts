import type { Headers } from '../../../lib/message/headers.js';
import type { WireMessage } from '../../../lib/message/message.js';
import { type Application, start } from './application.js';

export const DLQ = 'orders:order.created:dlq';

export function letter(id: string, headers: Headers = {}): WireMessage {
  return {
    id,
    route: 'order.created',
    body: Buffer.from(`{"id":"${id}"}`),
    properties: { contentType: 'application/json' },
    headers: {
      tenant: 7,
      'messaging-attempt': 8,
      'messaging-key': 'k',
      'messaging-expires-at': 5,
      'messaging-not-before': 6,
      'messaging-reason': 'attempts-exhausted',
      'messaging-error-class': 'PaymentError',
      'messaging-error-code': 'PAYMENT',
      'messaging-error-message': 'declined',
      'messaging-error-stack': 'at pay()',
      'messaging-origin-topic': 'events',
      'messaging-origin-route': 'order.created',
      'messaging-origin-queue': 'orders:order.created:queue',
      'messaging-origin-time': 1_000,
      'messaging-origin-service': 'orders',
      'messaging-origin-host': 'h1',
      ...headers,
    },
  };
}

/** A subscription to `order.created`, with these in its dead-letter queue. */
export async function withLetters(...letters: WireMessage[]): Promise<Application> {
  const app = await start();
  await app.subscribe(() => undefined);
  app.transport.stored.set(DLQ, letters);
  return app;
}

export const lettersIn = (app: Application): string[] => app.transport.stored.get(DLQ)!.map(({ id }) => id);
