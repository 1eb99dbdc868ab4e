import { type TransportFactory, memory } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';
import { sqs } from 'nestjs-messaging/sqs';

const credentials = { accessKeyId: 'emulator', secretAccessKey: 'emulator' };

/** The brokers, in the order in which a message passes them, and the variable that says where each of them is. */
const BROKERS = [
  [
    'sqs',
    'SQS_URL',
    (endpoint: string) => sqs({ endpoint, region: 'us-east-1', waitTime: 1_000, options: { credentials } }),
  ],
  ['kafka', 'KAFKA_URL', (brokers: string) => kafka({ brokers, partitions: 2 })],
  ['rabbitmq', 'AMQP_URL', (url: string) => rabbitmq({ url })],
  ['redis', 'REDIS_URL', (url: string) => redis({ url })],
  ['postgres', 'DATABASE_URL', (url: string) => postgres({ url })],
  ['nats', 'NATS_URL', (servers: string) => nats({ servers })],
] as const;

export type Hop = (typeof BROKERS)[number][0];
export const HOPS = BROKERS.map(([hop]) => hop);
export const VARIABLES = BROKERS.map(([, variable]) => variable);

/** The broker where its variable is set, else an embedded one. */
export function transportOf(hop: Hop, environment: NodeJS.ProcessEnv): TransportFactory {
  const [, variable, connect] = BROKERS.find(([name]) => name === hop)!;
  const url = environment[variable];
  return url ? connect(url) : memory();
}
