#!/usr/bin/env bash
# RabbitMQ 3.10.8, 4.0.5 and 4.3 (Debian), amqplib 2.3.1.
# A virtual host is at its limit of queues (`max-queues`), and a new one is declared. Guess: 403 (forbidden) or 405 (locked).
# It is 406, as for a queue that is there with other arguments: who reads the code alone looks for a mismatch, or gives up what an
# operator can mend. Only the text tells them apart.
source "$(dirname "$0")/support.sh"
packages amqplib@2.3.1

seen=''
for version in '3.10.8 bookworm' '4.0.5 trixie' '4.3 unstable'; do
  rabbitmq $version
  cat >"$work/declare.mjs" <<'JS'
import { connect } from 'amqplib';
const connection = await connect(process.env.URL);
export async function declare(queue, options) {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  try {
    await channel.assertQueue(queue, options);
    return 'declared';
  } catch (error) {
    return `${error.code}${/limit .* is reached/.test(error.message) ? ' (limit is reached)' : ''}`;
  }
}
export const close = () => connection.close();
JS
  run <<<"import { declare, close } from './declare.mjs'; await declare('there'); await close();"
  erlang 'rabbit_vhost_limit:parse_set(<<"/">>, <<"{\"max-queues\": 1}">>, <<"findings">>)' >/dev/null
  seen+="${version% *}: $(run <<'JS'
import { declare, close } from './declare.mjs';
console.log(`new: ${await declare('new')}; there: ${await declare('there')}; there with other arguments: ${await declare('there', { durable: false })}`);
await close();
JS
)"$'\n'
done
verdict 'a declaration beyond the limit of queues' "$seen" "$(cat <<'EXPECTED'
3.10.8: new: 406 (limit is reached); there: declared; there with other arguments: 406
4.0.5: new: 406 (limit is reached); there: declared; there with other arguments: 406
4.3: new: 406 (limit is reached); there: declared; there with other arguments: 406
EXPECTED
)"$'\n'
