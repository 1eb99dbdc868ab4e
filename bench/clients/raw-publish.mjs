// A confirm channel and what every application has to add: a promise per message, an id, the body as bytes.
import amqplib from 'amqplib';
import { bytesOf, propertiesOf } from './message.mjs';
import { publishInLanes } from './lanes.mjs';
import { Meter } from './meter.mjs';
import { serve } from './serve.mjs';

const meter = new Meter();
let connection;
let channel;

async function connect(url) {
  connection = await amqplib.connect(url, { noDelay: true });
  channel = await connection.createConfirmChannel();
  channel.on('return', () => console.error('raw amqplib: a message was returned'));
}

serve(
  async (task) => {
    if (!connection) await connect(task.url);
    const { exchange, route } = task;
    const publish = (number) =>
      new Promise((resolve, reject) => {
        const settle = (error) => (error ? reject(error) : resolve());
        channel.publish(exchange, route, bytesOf(number), propertiesOf(route), settle);
      });
    return publishInLanes(publish, meter, task);
  },
  async () => connection?.close(),
);
