// A JetStream publish and what every application has to add: an id, headers, the body as bytes.
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { publishInLanes } from './lanes.mjs';
import { bytesOf } from './message.mjs';
import { Meter } from './meter.mjs';
import { headersOf, subjectOf } from './nats-message.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();
let connection;
let client;

serve(
  async (task) => {
    connection ??= await connect({ servers: task.url, noAsyncTraces: true });
    client ??= jetstream(connection);
    const subject = subjectOf(task);
    const publish = (number) => client.publish(subject, bytesOf(number), { headers: headersOf(subject, task.route) });
    return publishInLanes(publish, meter, task, ({ seq }) => seq > 0);
  },
  async () => connection?.close(),
);
