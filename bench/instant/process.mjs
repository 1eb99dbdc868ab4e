// A scripted broker in a process of its own. It answers at once, so that the limit is the client's and not the broker's:
// everything is OK, every publish is confirmed, and a queue that a message was offered for never runs out of it.
import { createServer } from 'node:net';
import { InstantConnection } from './connection.mjs';

/** Queue → the message that its consumers get. */
const offers = new Map();

const server = createServer((socket) => new InstantConnection(socket, offers));

/** `{ queue, message: { exchange, routingKey, properties, body } }`; holds for those who consume from now on. */
process.on('message', ({ queue, message }) => {
  offers.set(queue, message);
  process.send({ offered: queue });
});
process.on('disconnect', () => process.exit());

server.listen(0, '127.0.0.1', () => process.send({ url: `amqp://guest:guest@127.0.0.1:${server.address().port}` }));
