#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# A consumer with a prefetch of 5 holds 5 unacked messages, is cancelled and consumes again on the same channel (a pause).
# Guess: nothing comes until something is acked. The broker counts the prefetch of the new consumer from zero: 10 are held.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createConfirmChannel();
const seen = [];
for (const type of ['classic', 'quorum']) {
  await channel.assertQueue(type, { durable: true, arguments: { 'x-queue-type': type } });
  for (let n = 0; n < 20; n++) channel.sendToQueue(type, Buffer.from(String(n)));
  await channel.waitForConfirms();
  await channel.prefetch(5);
  let held = 0;
  const consume = async () => (await channel.consume(type, () => held++)).consumerTag;
  const settled = async () => { for (let last = -1; last !== held; ) { last = held; await new Promise((r) => setTimeout(r, 500)); } };
  const tag = await consume();
  await settled();
  await channel.cancel(tag);
  await consume();
  await settled();
  seen.push(`${type} ${held}`);
}
console.log(`held with a prefetch of 5: ${seen.join(', ')}`);
await connection.close();
JS
)"$'\n'
done
verdict 'the prefetch after cancel and consume' "$seen" "$(cat <<'EXPECTED'
3.10.8: held with a prefetch of 5: classic 10, quorum 10
4.0.5: held with a prefetch of 5: classic 10, quorum 10
4.3: held with a prefetch of 5: classic 10, quorum 10
EXPECTED
)"$'\n'
