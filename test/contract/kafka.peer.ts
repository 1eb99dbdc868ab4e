import { randomUUID } from 'node:crypto';
import type { IHeaders, Kafka, KafkaMessage } from 'kafkajs';
import type { HarnessPeer, PeerMessage } from 'nestjs-messaging/testing';
import type { HeaderValue } from '../../lib/message/headers.js';
import type { Destination } from '../../lib/transport/outgoing.js';
import { value, written } from './nats-headers.js';

const propertyNames = {
  contentType: 'content-type',
  contentEncoding: 'content-encoding',
  correlationId: 'correlation-id',
  replyTo: 'reply-to',
  appId: 'app-id',
  type: 'message-type',
  timestamp: 'timestamp',
  priority: 'priority',
} as const;

/** A plain client that follows docs/wire.md, with none of the package's code. */
export class KafkaPeer implements HarnessPeer {
  constructor(
    private readonly client: () => Kafka,
    private readonly topic: string,
  ) {}

  async publish(to: Destination, { id, body, headers, properties }: PeerMessage): Promise<void> {
    const producer = this.client().producer();
    await producer.connect();
    const lines: IHeaders = id === undefined ? {} : { 'message-id': id };
    const types: Record<string, string> = {};
    for (const [name, line] of Object.entries(propertyNames))
      if (properties[name as keyof typeof properties] !== undefined)
        lines[line] = String(properties[name as keyof typeof properties]);
    for (const [name, one] of Object.entries(headers)) {
      if (typeof one === 'string') lines[name] = one;
      else [types[name], lines[name]] = written(one);
    }
    if (Object.keys(types).length > 0) lines['messaging-types'] = JSON.stringify(types);
    if (to.kind === 'route') lines['message-route'] = to.route;
    const topic = to.kind === 'route' ? this.topic : queueTopic(this.topic, to.kind === 'queue' ? to.queue : to.route);
    await producer.send({ topic, messages: [{ value: body, headers: lines }] });
    await producer.disconnect();
  }

  /** Of the topics in which the group of the queue has a place; then that moves on. */
  async get(queue: string): Promise<PeerMessage | undefined> {
    const groupId = queueTopic(this.topic, queue);
    const admin = this.client().admin();
    await admin.connect();
    try {
      for (const topic of [this.topic, groupId]) {
        const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] });
        const place = Number(partitions[0]?.offset ?? -1);
        const [{ high }] = await admin.fetchTopicOffsets(topic);
        if ((topic === this.topic && place < 0) || place >= Number(high) || Number(high) === 0) continue;
        const from = Math.max(place, 0);
        const message = await this.read(topic, from);
        await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: String(from + 1) }] });
        return readPlain(message);
      }
      return undefined;
    } finally {
      await admin.disconnect();
    }
  }

  private async read(topic: string, offset: number): Promise<KafkaMessage> {
    const consumer = this.client().consumer({ groupId: `${this.topic}.peer.${randomUUID()}` });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const found = new Promise<KafkaMessage>((resolve) => {
      void consumer.run({
        autoCommit: false,
        eachMessage: async ({ message }) => {
          if (Number(message.offset) === offset) resolve(message);
        },
      });
    });
    consumer.seek({ topic, partition: 0, offset: String(offset) });
    return found.finally(() => consumer.disconnect());
  }
}

export function queueTopic(topic: string, queue: string): string {
  return `${topic}.queue.${queue.replaceAll('_', '_5F').replaceAll(':', '_3A')}`;
}

function readPlain(message: KafkaMessage): PeerMessage {
  const lines = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, line]) => [name, String(line)]));
  const types = JSON.parse(lines['messaging-types'] ?? '{}') as Record<string, string>;
  const known = new Map<string, string>(Object.entries(propertyNames).map(([name, line]) => [line, name]));
  const headers: Record<string, HeaderValue> = {};
  const properties: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(lines)) {
    const property = known.get(name);
    if (property) properties[property] = ['timestamp', 'priority'].includes(property) ? Number(text) : text;
    else if (!['message-id', 'message-route', 'messaging-types'].includes(name))
      headers[name] = value(text, types[name]);
  }
  return { id: lines['message-id'], body: message.value ?? Buffer.alloc(0), headers, properties };
}
