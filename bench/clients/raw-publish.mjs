// A confirm channel and what every application has to add: a promise per message, an id, the body as bytes.
import { once } from 'node:events';
import amqplib from 'amqplib';
import { bytesOf, propertiesOf } from './message.mjs';
import { publishInLanes } from './lanes.mjs';
import { Meter } from './meter.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();
let connection;
let channel;

async function connect({ url, confirms = true }) {
  connection = await amqplib.connect(url, { noDelay: true });
  channel = await (confirms ? connection.createConfirmChannel() : connection.createChannel());
  channel.on('return', () => console.error('raw amqplib: a message was returned'));
  channel.setMaxListeners(0);
}

const confirmed =
  ({ exchange, route }) =>
  (number) =>
    new Promise((resolve, reject) => {
      const settle = (error) => (error ? reject(error) : resolve());
      channel.publish(exchange, route, bytesOf(number), propertiesOf(route), settle);
    });

/** Done when it is written: nobody knows whether it arrived. */
const unconfirmed =
  ({ exchange, route }) =>
  async (number) => {
    if (!channel.publish(exchange, route, bytesOf(number), propertiesOf(route))) await once(channel, 'drain');
  };

serve(
  async (task) => {
    if (!connection) await connect(task);
    const publish = task.confirms === false ? unconfirmed(task) : confirmed(task);
    return publishInLanes(publish, meter, task);
  },
  async () => connection?.close(),
);
