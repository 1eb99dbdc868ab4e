import { waitFor } from '../../brokers/wait-for.js';
import { firstOutOfOrder } from '../checker.js';
import type { FaultCase } from '../fault-case.js';

export const orderFaults: readonly FaultCase[] = [
  {
    name: 'order-through-outage',
    title: 'Awaited publishes of a key stay in order through outages of the publisher',
    queueTypes: ['quorum', 'classic'],
    short: true,
    worker: { handlerMs: [5, 25] },
    load: { rate: 400, keys: 20 },
    async run(cell) {
      const busy = async (): Promise<void> => {
        const before = cell.consumer.count('end');
        await waitFor(() => cell.consumer.count('end') > before + 100, 'a steady load', 20_000);
      };
      for (let outage = 0; outage < 3; outage++) {
        await busy();
        await cell.proxy.refuse(true);
        await cell.strike(() => cell.proxy.reset());
        await cell.expect(cell.publisher, 'queued', 150);
        await cell.proxy.refuse(false);
        // The next outage may begin while the queue of this one is still being sent.
        await cell.expect(cell.publisher, 'connected');
      }
      await cell.recovered();
      await busy();
      await cell.publisher.tell({ do: 'stop-load' });
      await waitFor(async () => (await cell.publisher.status()).unsettled === 0, 'the retry queue to drain', 20_000);
      const wrong = firstOutOfOrder(cell.consumer.read().entries);
      cell.check(wrong === undefined, String(wrong));
    },
  },
];
