// The client's own pull consumer with a limit and an explicit ack: read the id, parse, handle, ack.
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Intake } from './intake.mjs';
import { Meter } from './meter.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();

serve(async (task, ready) => {
  const intake = new Intake(meter, task);
  const connection = await connect({ servers: task.url, noAsyncTraces: true });
  const consumer = await jetstream(connection).consumers.get(task.exchange, task.consumer);
  const messages = await consumer.consume({
    max_messages: task.prefetch,
    callback: (message) => {
      if (!message.headers.has('Message-Id')) throw new Error('A message without an id');
      intake.handle(message.json());
      message.ack();
    },
  });
  ready();
  const figures = await intake.done;
  await messages.close();
  await connection.close();
  return figures;
});
