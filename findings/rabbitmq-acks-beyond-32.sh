#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# A hundred messages are handled and acked one by one in one turn, then the channel is closed in order, with the broker's answer.
# Guess: what the broker read before it closed the channel is acked. Of a classic queue it is. A channel hands on 32 acks at a
# time to a quorum queue, and the others when those are on disk: closed before that, it forgets some sixty acks, and the
# messages come again. One ack for all of them (`multiple`) counts as one.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
async function comeAgain(type, ack) {
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('q', { arguments: { 'x-queue-type': type } });
  for (let n = 0; n < 100; n++) channel.sendToQueue(queue, Buffer.from(String(n)));
  await channel.waitForConfirms();
  const messages = [];
  await new Promise((resolve) => channel.consume(queue, (message) => messages.push(message) === 100 && resolve()));
  ack(channel, messages);
  await channel.close();
  const look = await connection.createChannel();
  let again = 0;
  for (let quiet = 0; quiet < 20; ) (await look.get(queue)) ? again++ : (quiet++, await new Promise((r) => setTimeout(r, 25)));
  await look.deleteQueue(queue);
  await look.close();
  return again;
}
const one = (channel, messages) => messages.forEach((message) => channel.ack(message));
const all = (channel, messages) => channel.ack(messages.at(-1), true);
const most = [];
// How many depends on the disk: a fast one may be done before the channel closes.
for (let round = 0; round < 5 && !(most.at(-1) > 30); round++) most.push(await comeAgain('quorum', one));
const quorum = most.at(-1) > 30 ? 'more than 30' : Math.max(...most);
console.log(`of 100 acked come again: quorum ${quorum}, classic ${await comeAgain('classic', one)}, quorum with one ack for all ${await comeAgain('quorum', all)}`);
await connection.close();
JS
)"$'\n'
done
verdict 'a hundred acks before channel.close()' "$seen" "$(cat <<'EXPECTED'
3.10.8: of 100 acked come again: quorum more than 30, classic 0, quorum with one ack for all 0
4.0.5: of 100 acked come again: quorum more than 30, classic 0, quorum with one ack for all 0
4.3: of 100 acked come again: quorum more than 30, classic 0, quorum with one ack for all 0
EXPECTED
)"$'\n'
