#!/usr/bin/env bash
# RabbitMQ 4.0.5 (Debian), amqplib 2.3.1.
# A message is republished with the headers it came with (a retry, a move to another queue). Guess: what was read can be written.
# Numbers are written by their value, not as the type they had: a double above 2^50 with a fraction, and one below -2^63, throw.
# A table with the key `!` is taken for amqplib's own way of naming a type.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '4.0.5 trixie'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createConfirmChannel();
await channel.assertQueue('q');
const double = (value) => ({ '!': 'double', value });
const table = Object.create({ '!': 'x' }); // An inherited key is written like any other.
for (const [name, header] of [['2^51 + 0.5', double(2 ** 51 + 0.5)], ['-2^64', double(-(2 ** 64))], ['{ ! }', table], ['1.5', 1.5]]) {
  channel.sendToQueue('q', Buffer.from('x'), { headers: { header } });
  await channel.waitForConfirms();
  const message = await channel.get('q', { noAck: true });
  try {
    channel.sendToQueue('q', message.content, { headers: message.properties.headers });
    console.log(`${name}: written again`);
    await channel.waitForConfirms();
    await channel.get('q', { noAck: true });
  } catch (error) {
    console.log(`${name}: ${error.name}`);
  }
}
await connection.close();
JS
)"$'\n'
done
verdict 'headers that were read and are written again' "$seen" "$(cat <<'EXPECTED'
4.0.5: 2^51 + 0.5: RangeError
-2^64: RangeError
{ ! }: TypeError
1.5: written again
EXPECTED
)"$'\n'
