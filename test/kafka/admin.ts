import { type Admin, Kafka, logLevel } from 'kafkajs';
import type { KafkaServer } from '../brokers/kafka/server.js';

/** A plain client, around the proxy and every password. */
export const plain = ({ innerUrl }: KafkaServer): Kafka =>
  new Kafka({ brokers: [innerUrl], logLevel: logLevel.NOTHING });

export async function withAdmin<T>(server: KafkaServer, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = plain(server).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
