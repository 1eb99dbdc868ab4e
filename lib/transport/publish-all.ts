import type { Outgoing, PublishResult } from './outgoing.js';
import type { Transport } from './transport.js';

/** Publishes some messages together. Resolves with their results, in the same order, once there are all; it never rejects. */
export function publishAll(transport: Transport, batch: readonly Outgoing[]): Promise<PublishResult[]> {
  return new Promise((resolve) => {
    const results = new Map<Outgoing, PublishResult>();
    transport.publish(batch, (outgoing, result) => {
      results.set(outgoing, result);
      if (results.size === batch.length) resolve(batch.map((one) => results.get(one)!));
    });
  });
}
