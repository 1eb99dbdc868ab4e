import { connect } from 'node:net';
import { expect, it, jest } from '@jest/globals';
import { Kafka, logLevel } from 'kafkajs';
import { describeKafka } from './kafka.js';

jest.setTimeout(120_000);

describeKafka(
  'a node of Kafka',
  (kafka) => {
    const client = (url: string): Kafka => new Kafka({ brokers: [url], logLevel: logLevel.NOTHING });

    it('is killed and started again on its data and port', async () => {
      const server = await kafka.start();
      const admin = client(server.url).admin();
      await admin.connect();
      await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 2 }] });
      await server.restart();
      const { topics } = await admin.fetchTopicMetadata({ topics: ['kept'] });
      expect(topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([['kept', 2]]);
      await admin.disconnect();
      await server.stop();
      await expect(
        new Promise((resolve, reject) => connect(server.port, '127.0.0.1', () => resolve('open')).on('error', reject)),
      ).rejects.toThrow('ECONNREFUSED');
    });

    it('lets in who has the password', async () => {
      const { url } = await kafka.start({ user: { name: 'somebody', password: 'secret' } });
      const admin = (password: string) =>
        new Kafka({
          brokers: [url],
          logLevel: logLevel.NOTHING,
          sasl: { mechanism: 'plain', username: 'somebody', password },
        }).admin();
      const one = admin('secret');
      await one.connect();
      await one.disconnect();
      await expect(admin('wrong').connect()).rejects.toThrow('Authentication failed');
    });
  },
  { own: true },
);
