// A channel with a prefetch and an explicit ack: parse, handle, ack.
import amqplib from 'amqplib';
import { Intake } from './intake.mjs';
import { Meter } from './meter.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  const connection = await amqplib.connect(task.url, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.prefetch(task.prefetch);
  await channel.consume(task.queue, (message) => {
    intake.handle(JSON.parse(message.content.toString()));
    channel.ack(message);
  });
  ready();
  const figures = await intake.done;
  await connection.close();
  return figures;
});
