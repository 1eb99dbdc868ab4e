#!/usr/bin/env bash
# PostgreSQL 15.18 and 17.12 (Debian), pg 8.23.1.
# Whether a statement is in a transaction block is asked by `now() = statement_timestamp()`: the documentation says that both
# are the same in the first command of a transaction, and a statement by itself is one. Guess: true outside of a block, false
# in the second statement of one. With a parameter (or a name) the statement goes as Parse, Bind and Execute: the transaction
# takes its time from Parse, and Bind sets the statement's anew, so that it is false outside of a block as well.
source "$(dirname "$0")/support.sh"
packages pg@8.23.1

seen=''
for version in '15 bookworm' '17 trixie'; do
  postgres $version
  seen+="$(run <<'JS'
import pg from 'pg';
const client = new pg.Client(process.env.URL);
await client.connect();
const { server_version: version } = (await client.query('show server_version')).rows[0];
// Of a hundred: two of the server's microseconds can be one.
const alike = async (text, values) => {
  let count = 0;
  for (let n = 0; n < 100; n++) if ((await client.query(text, values)).rows[0].alike) count++;
  return count > 50;
};
const plain = 'select now() = statement_timestamp() as alike';
const simple = await alike(plain);
const extended = await alike(`${plain}, $1::int as n`, [1]);
await client.query('begin');
await client.query('select 1');
const inside = await alike(plain);
await client.query('commit');
console.log(`${version.split(' ')[0]}: outside of a block, simple query: ${simple}; with a parameter: ${extended}; inside: ${inside}`);
await client.end();
JS
)"$'\n'
done
verdict 'now() = statement_timestamp() outside of a transaction block' "$seen" "$(cat <<'EXPECTED'
15.18: outside of a block, simple query: true; with a parameter: false; inside: false
17.12: outside of a block, simple query: true; with a parameter: false; inside: false
EXPECTED
)"$'\n'
