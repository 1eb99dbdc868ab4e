import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs';
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

/** A plain client of a broker that needs no password. */
export async function withProducer<T>(url: string, work: (producer: Producer) => Promise<T>): Promise<T> {
  const producer = new Kafka({ brokers: [url], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  try {
    return await work(producer);
  } finally {
    await producer.disconnect();
  }
}
