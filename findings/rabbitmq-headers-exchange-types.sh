#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# A binding of a headers exchange asks for { n: 1 } as an integer; a message has { n: 1.0 } as a double, as other clients write it.
# Guess: both or neither version match. 3.10 compares numbers by value, 4.0 and later by type as well: the message is unroutable.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  seen+="${version% *}: $(run <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
const channel = await connection.createConfirmChannel();
await channel.assertExchange('e', 'headers');
await channel.assertQueue('q');
await channel.bindQueue('q', 'e', '', { 'x-match': 'all', n: 1 });
let returned = 0;
channel.on('return', () => returned++);
channel.publish('e', '', Buffer.from('integer'), { mandatory: true, headers: { n: 1 } });
channel.publish('e', '', Buffer.from('double'), { mandatory: true, headers: { n: { '!': 'double', value: 1 } } });
await channel.waitForConfirms();
const got = [];
for (let message; (message = await channel.get('q')); ) got.push(message.content.toString());
console.log(`routed: ${got.join(', ')}; returned: ${returned}`);
await connection.close();
JS
)"$'\n'
done
verdict 'numbers of a headers exchange' "$seen" "$(cat <<'EXPECTED'
3.10.8: routed: integer, double; returned: 0
4.0.5: routed: integer; returned: 1
4.3: routed: integer; returned: 1
EXPECTED
)"$'\n'
