#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1, one node.
# A durable quorum queue is declared, ten persistent messages are published to it and confirmed, and the node is killed (SIGKILL) in
# the next moment. Guess: what is confirmed is on disk. The messages are, but not under which name: after the restart the
# queue is there by name, and empty. Two seconds later all are kept, and so they are at once in a classic queue, and in a quorum queue that was declared before.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
connection.on('error', () => {});
const channel = await connection.createConfirmChannel();
channel.on('error', () => {});
const declare = (queue, type) => channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } });
await declare('quorum before', 'quorum');
await new Promise((r) => setTimeout(r, 6000));
await declare('classic', 'classic');
await declare('quorum', 'quorum');
for (const queue of ['quorum before', 'classic', 'quorum']) {
  for (let n = 0; n < 10; n++) channel.sendToQueue(queue, Buffer.from('x'), { persistent: true });
}
await channel.waitForConfirms();
process.kill(process.env.PID, 'SIGKILL');
process.exit();
JS
  kill_broker
  boot_rabbitmq
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createChannel();
const kept = [];
for (const queue of ['quorum before', 'classic', 'quorum']) kept.push(`${queue} ${(await channel.checkQueue(queue)).messageCount}`);
console.log(`of 10 confirmed are kept: ${kept.join(', ')}`);
await connection.close();
JS
)"$'\n'
done
verdict 'a queue declared just before a crash' "$seen" "$(cat <<'EXPECTED'
3.10.8: of 10 confirmed are kept: quorum before 10, classic 10, quorum 0
4.0.5: of 10 confirmed are kept: quorum before 10, classic 10, quorum 0
4.3: of 10 confirmed are kept: quorum before 10, classic 10, quorum 0
EXPECTED
)"$'\n'
