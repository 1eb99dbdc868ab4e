#!/usr/bin/env bash
# Apache Kafka 4.4.0, kafkajs 2.2.4.
# A group of two members; one leaves, and the connection of the other ends before the answer to its SyncGroup request has come.
# Guess: it joins the group again, as it does not know which partitions it has now.
# It connects again and goes on with the partition of before. Its heartbeats have the new generation, so that the broker takes
# it for a member in good standing: the other partition is read by nobody, until the group changes or it has something to commit.
source "$(dirname "$0")/support.sh"
packages kafkajs@2.2.4

kafka 4.4.0
seen=$(run <<'JS'
import { connect } from 'node:net';
import kafkajs from 'kafkajs';
const { Kafka, logLevel, Partitioners } = kafkajs;
const settings = { brokers: [process.env.URL], logLevel: logLevel.NOTHING };
const plain = new Kafka(settings);
const topic = 'orders';
const admin = plain.admin();
await admin.connect();
await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true });
const SYNC_GROUP = 14;
let armed = false;
const cut = new Kafka({
  ...settings,
  socketFactory({ host, port, onConnect }) {
    const socket = connect({ host, port }, onConnect);
    const write = socket.write;
    socket.write = function (request, ...rest) {
      const cuts = armed && Buffer.from(request).readInt16BE(4) === SYNC_GROUP;
      if (cuts) {
        armed = false;
        socket.removeAllListeners('data');
        setTimeout(() => socket.destroy(new Error('reset')), 500);
      }
      return write.call(this, request, ...rest);
    };
    return socket;
  },
});
async function member(client) {
  const consumer = client.consumer({ groupId: 'readers', sessionTimeout: 6_000, heartbeatInterval: 500, maxWaitTimeInMs: 100 });
  const state = { consumer, joins: 0, partitions: [], handled: [] };
  consumer.on('consumer.group_join', ({ payload }) => {
    state.joins++;
    state.partitions = payload.memberAssignment[topic] ?? [];
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ partition }) => void state.handled.push(partition) });
  return state;
}
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
};
const one = await member(cut);
const other = await member(plain);
await until(() => one.partitions.length === 1 && other.partitions.length === 1);
const [had, joins] = [one.partitions, one.joins];
armed = true;
await other.consumer.disconnect();
await until(() => !armed);
const producer = plain.producer({ createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
await producer.send({ topic, messages: [0, 1].filter((partition) => !had.includes(partition)).map((partition) => ({ partition, value: 'a' })) });
await new Promise((resolve) => setTimeout(resolve, 20_000));
const [{ state, members }] = (await admin.describeGroups(['readers'])).groups;
console.log(`the group is ${state}, members: ${members.length}`);
console.log(`told its partitions anew: ${one.joins > joins}; handled in 20 s: ${one.handled.length} of 1`);
process.exit(0);
JS
)
verdict 'a member that has not heard which partitions it has now' "$seen" 'the group is Stable, members: 1
told its partitions anew: false; handled in 20 s: 0 of 1'
