// rabbitmq-client: createConsumer with acks.
import { Connection } from 'rabbitmq-client';
import { Intake } from '../../clients/intake.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';

const meter = new Meter();

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  const connection = new Connection({ url: task.url, noDelay: true });
  connection.on('error', (error) => console.error('rabbitmq-client:', error.message));
  const plain = ({ body }) => intake.handle(body);
  const later = async ({ body }) => intake.handleLater(body);
  const consumer = connection.createConsumer(
    // The queue is there already, with the package's arguments.
    { queue: task.queue, queueOptions: { passive: true }, qos: { prefetchCount: task.prefetch } },
    task.handler === 'async' ? later : plain,
  );
  let closing = false;
  // What it still handles while it closes cannot be acked any more, and it says so for every message.
  consumer.on('error', (error) => closing || console.error('rabbitmq-client:', error.message));
  consumer.once('ready', ready);
  const figures = await intake.done;
  closing = true;
  await consumer.close();
  await connection.close();
  return figures;
});
