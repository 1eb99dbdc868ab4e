// kafkajs by batches, each committed when it is handled: read the id, parse, handle.
import { Kafka, logLevel } from 'kafkajs';
import { Intake } from './intake.mjs';
import { Meter } from './meter.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  const kafka = new Kafka({ brokers: [task.url], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: 'raw', maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [task.exchange], fromBeginning: true });
  ready();
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (const { headers, value } of batch.messages) {
        if (!headers['message-id']) throw new Error('A message without an id');
        intake.handle(JSON.parse(value.toString()));
      }
    },
  });
  const figures = await intake.done;
  await consumer.disconnect();
  return figures;
});
