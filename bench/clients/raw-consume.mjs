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
  const plain = (message) => {
    intake.handle(JSON.parse(message.content.toString()));
    channel.ack(message);
  };
  const later = async (message) => {
    await intake.handleLater(JSON.parse(message.content.toString()));
    channel.ack(message);
  };
  await channel.prefetch(task.prefetch);
  const { consumerTag } = await channel.consume(task.queue, task.handler === 'async' ? later : plain);
  ready();
  const figures = await intake.done;
  await channel.cancel(consumerTag);
  await connection.close();
  return figures;
});
