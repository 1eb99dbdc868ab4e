#!/usr/bin/env bash
# Apache Kafka 4.4.0, kafkajs 2.2.4.
# An idempotent producer sends records to two partitions in one request. One is refused, as it is too large; the other is
# stored. Guess: what is sent next is stored as well, since the producer numbers what it sends so that nothing is stored twice.
# The client takes back the numbers of both partitions: the next record to the one that was stored has the number of what is
# there, the broker takes it for the same one, and the producer says that it was sent. It is nowhere.
source "$(dirname "$0")/support.sh"
packages kafkajs@2.2.4

kafka 4.4.0
seen=$(run <<'JS'
import kafkajs from 'kafkajs';
const { Kafka, logLevel, Partitioners } = kafkajs;
const client = new Kafka({ brokers: [process.env.URL], logLevel: logLevel.NOTHING });
const admin = client.admin();
await admin.connect();
const topic = 'orders';
await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true });
const producer = client.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
const send = (...messages) =>
  producer.sendBatch({ topicMessages: [{ topic, messages }] }).then(() => 'sent', ({ type, cause }) => type ?? cause?.type);
const said = [
  await send({ partition: 0, value: 'A' }, { partition: 1, value: Buffer.alloc(1_200_000) }),
  await send({ partition: 0, value: 'B' }),
  await send({ partition: 0, value: 'C' }),
];
const { high } = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0);
const consumer = client.consumer({ groupId: 'readers' });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
const got = [];
const all = new Promise((resolve) => {
  consumer.run({
    eachMessage: async ({ message }) => {
      got.push(message.value.toString());
      if (got.length === Number(high)) resolve();
    },
  });
});
await all;
console.log(`said ${said.join(', ')}; partition 0 has ${got.join(' ')}`);
await Promise.all([consumer, producer, admin].map((one) => one.disconnect()));
JS
)
verdict 'records sent after a refusal' "$seen" 'said MESSAGE_TOO_LARGE, sent, sent; partition 0 has A C'
