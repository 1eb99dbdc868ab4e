#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# Three consumers on a queue with x-single-active-consumer. Guess: a passive declare counts three. It depends on the queue type:
# a quorum queue counts the active one alone, a classic queue all. Whoever counts processes by it is wrong.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const seen = [];
for (const type of ['classic', 'quorum']) {
  const channel = await connection.createChannel();
  await channel.assertQueue(type, { arguments: { 'x-queue-type': type, 'x-single-active-consumer': true } });
  for (let n = 0; n < 3; n++) await (await connection.createChannel()).consume(type, () => {});
  await new Promise((r) => setTimeout(r, 1000));
  seen.push(`${type} ${(await channel.checkQueue(type)).consumerCount}`);
}
console.log(`consumers counted: ${seen.join(', ')}`);
await connection.close();
JS
)"$'\n'
done
verdict 'the consumers of a queue with one active consumer' "$seen" "$(cat <<'EXPECTED'
3.10.8: consumers counted: classic 3, quorum 1
4.0.5: consumers counted: classic 3, quorum 1
4.3: consumers counted: classic 3, quorum 1
EXPECTED
)"$'\n'
