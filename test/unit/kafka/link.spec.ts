import { expect, it } from '@jest/globals';
import { KafkaDialer } from '../../../lib/transports/kafka/link.js';
import type { KafkaClient, KafkaLink } from '../../../lib/transports/kafka/client-port.js';

it('what is asked on a link is answered, or rejected once the link is gone', async () => {
  let lose!: (reason: string) => void;
  const client: KafkaClient = {
    open: async (lost) => {
      lose = lost;
      return { topics: async () => new Map(), destroy() {} } as Partial<KafkaLink> as KafkaLink;
    },
  };
  const ends: string[] = [];
  const dialer = new KafkaDialer({ host: 'one', redact: (text) => text }, client, async () => {});
  const link = await dialer.open(0, { ended: (_, reason) => void ends.push(reason), warning() {} });
  await expect(link.answered(Promise.resolve('said'))).resolves.toBe('said');
  await expect(link.answered(Promise.reject(new Error('no')))).rejects.toThrow('no');
  const silent = link.answered(new Promise(() => {}));
  lose('cut');
  await expect(silent).rejects.toThrow('cut');
  await expect(link.answered(Promise.reject(new Error('late')))).rejects.toThrow('cut');
  expect(ends).toEqual(['cut']);
});
