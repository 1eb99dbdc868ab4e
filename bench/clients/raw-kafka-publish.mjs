// An idempotent kafkajs producer: all that waits goes in one request, one request at a time.
import { Kafka, logLevel } from 'kafkajs';
import { recordOf } from './kafka-message.mjs';
import { publishInLanes } from './lanes.mjs';
import { Meter } from './meter.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();
let producer;

async function connect({ url }) {
  const made = new Kafka({ brokers: [url], logLevel: logLevel.NOTHING }).producer({
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await made.connect();
  return made;
}

/** Gathers what is published while a request is under way. */
function batched(topic) {
  let waiting = [];
  let sending = false;
  const sendAll = async () => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await producer.send({ topic, acks: -1, messages: batch.map(({ record }) => record) });
      for (const { done } of batch) done(true);
    }
    sending = false;
  };
  return (record) =>
    new Promise((done, failed) => {
      waiting.push({ record, done });
      if (sending) return;
      sending = true;
      queueMicrotask(() => sendAll().catch(failed));
    });
}

serve(
  async (task) => {
    producer ??= await connect(task);
    const send = batched(task.exchange);
    return publishInLanes((number) => send(recordOf(task, number)), meter, task);
  },
  async () => producer?.disconnect(),
);
