import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { memory, type TransportFactory } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';
import { sqs } from 'nestjs-messaging/sqs';
import type { Transport } from '../../lib/transport/transport.js';

const README = resolve(__dirname, '../../README.md');
const TITLE = '## Brokers, as they are by default\n\n';
const DAY = 86_400_000;

/** With the page that tells more. */
const transports: readonly (readonly [name: string, page: string, factory: TransportFactory])[] = [
  ['RabbitMQ', 'rabbitmq.md', rabbitmq({})],
  ['NATS JetStream', 'nats.md', nats({})],
  ['PostgreSQL', 'postgres.md', postgres({})],
  ['Redis', 'redis.md', redis({})],
  ['Kafka', 'kafka.md', kafka({})],
  ['SQS', 'sqs.md', sqs({ region: 'eu-central-1' })],
  ['embedded', 'memory.md', memory()],
];

const orders = { none: 'in one process', queue: 'yes, with partitions', key: 'yes' } as const;

function row([name, page, factory]: (typeof transports)[number]): readonly string[] {
  const { capabilities, replies }: Transport = factory.create();
  const { durable, keyOrder, maxDelayMs, leaseMs, maxBytes, adopts, retry } = capabilities;
  return [
    `[${name}](docs/${page})`,
    durable ? 'yes' : 'no',
    orders[keyOrder],
    maxDelayMs < DAY ? `${maxDelayMs / 60_000} min` : `${Math.floor(maxDelayMs / DAY).toLocaleString('en')} days`,
    leaseMs === Infinity ? '' : `${leaseMs / 1_000} s`,
    retry === 'copy' ? 'a copy' : 'hides it',
    `${Number((maxBytes / 1e6).toPrecision(2))} MB`,
    adopts ? 'yes' : 'no',
    replies ? 'yes' : 'no',
  ];
}

function table(): string {
  const head = [
    'broker',
    'outlives its process',
    'order of a key over processes',
    'longest `delay`',
    'lease',
    'a retry',
    'largest body',
    '`adopt`',
    '`request`',
  ];
  const lines = [head, head.map(() => '---'), ...transports.map(row)].map((cells) => `| ${cells.join(' | ')} |\n`);
  return lines.join('').replaceAll('|  |', '| |');
}

/** `UPDATE_GOLDEN=1` writes the table. */
test('the table of brokers in README.md is what the transports say of themselves', () => {
  const text = readFileSync(README, 'utf8');
  const start = text.indexOf(TITLE) + TITLE.length;
  const end = text.indexOf('\n\n', start) + 1;
  expect(start).toBeGreaterThan(TITLE.length);
  const wanted = text.slice(0, start) + table() + text.slice(end);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(README, wanted);
  expect(readFileSync(README, 'utf8')).toBe(wanted);
});
