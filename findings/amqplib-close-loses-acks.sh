#!/usr/bin/env bash
# RabbitMQ 3.10.8 and 4.3 (Debian), amqplib 2.3.1.
# Ten messages are handled and acked, then the connection is closed in order: `await connection.close()`. Guess: what was
# acked before is acked. It is not: the close overtakes what the channels have just been given, and all ten come again; nobody
# is told. Closed channel first, then connection: none comes again.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
async function run(queue, close) {
  const connection = await connect(process.env.URL);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } });
  for (let n = 0; n < 10; n++) channel.sendToQueue(queue, Buffer.from(String(n)));
  await channel.waitForConfirms();
  const messages = [];
  await new Promise((resolve) => channel.consume(queue, (message) => messages.push(message) === 10 && resolve()));
  for (const message of messages) channel.ack(message);
  await close(channel, connection);
  const other = await connect(process.env.URL);
  const look = await other.createChannel();
  let again = 0;
  for (let quiet = 0; quiet < 20; ) (await look.get(queue)) ? again++ : (quiet++, await new Promise((r) => setTimeout(r, 25)));
  await other.close();
  return again;
}
const plain = await run('plain', (channel, connection) => connection.close());
const ordered = await run('ordered', async (channel, connection) => (await channel.close(), connection.close()));
console.log(`come again after connection.close(): ${plain}, after channel.close() first: ${ordered}`);
JS
)"$'\n'
done
verdict 'acks before connection.close()' "$seen" "$(cat <<'EXPECTED'
3.10.8: come again after connection.close(): 10, after channel.close() first: 0
4.3: come again after connection.close(): 10, after channel.close() first: 0
EXPECTED
)"$'\n'
