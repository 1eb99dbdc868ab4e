// rabbitmq-client: createPublisher with confirms.
import { Connection } from 'rabbitmq-client';
import { publishInLanes } from '../../clients/lanes.mjs';
import { bodyOf, propertiesOf } from '../../clients/message.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';

const meter = new Meter();
let connection;
let publisher;

function connect({ url }) {
  connection = new Connection({ url, noDelay: true });
  connection.on('error', (error) => console.error('rabbitmq-client:', error.message));
  const onReturn = () => console.error('rabbitmq-client: a message was returned');
  publisher = connection.createPublisher({ confirm: true, onReturn });
}

/** It names the same properties its own way, and makes the JSON by itself. */
function envelopeOf(exchange, route) {
  const { persistent, ...properties } = propertiesOf(route);
  return { exchange, routingKey: route, durable: persistent, ...properties };
}

serve(
  async (task) => {
    if (!connection) connect(task);
    const { exchange, route } = task;
    return publishInLanes((number) => publisher.send(envelopeOf(exchange, route), bodyOf(number)), meter, task);
  },
  async () => {
    await publisher?.close();
    await connection?.close();
  },
);
