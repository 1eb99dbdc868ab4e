#!/usr/bin/env bash
# PostgreSQL 15.18 and 17.12 (Debian), pg 8.23.1.
# A transaction takes its number by pg_current_xact_id(), the server crashes, and pg_xact_status() is asked about the number.
# Guess: «aborted», for it never committed. That is so only until somebody else commits: a number that is in no file yet is
# given again, and the answer is «committed». It stays «aborted» where another transaction with a higher number was flushed.
source "$(dirname "$0")/support.sh"
packages pg@8.23.1

seen=''
for version in '15 bookworm' '17 trixie'; do
  postgres $version
  seen+="$(run <<'JS'
import pg from 'pg';
import { setTimeout as pause } from 'node:timers/promises';
async function connected() {
  for (;;) {
    const client = new pg.Client(process.env.URL);
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch {
      await pause(50);
    }
  }
}
const one = async (client, text) => Object.values((await client.query(text)).rows[0])[0];
async function fate(flushed) {
  const client = await connected();
  const other = await connected();
  await client.query('begin');
  const xact = await one(client, 'select pg_current_xact_id()::text');
  if (flushed) await other.query("select set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'x', '')");
  process.kill(await one(other, 'select pg_backend_pid()'), 'SIGKILL');
  await pause(500);
  const next = await connected();
  await next.query('create table if not exists t (n int)');
  for (let n = 0; n < 5; n++) await next.query('insert into t values (1)');
  const status = await one(next, `select pg_xact_status('${xact}'::xid8)`);
  await next.end();
  return status;
}
const client = await connected();
const version = (await one(client, 'show server_version')).split(' ')[0];
await client.end();
console.log(`${version}: ${await fate(false)}, with a higher number in a file ${await fate(true)}`);
JS
)"$'\n'
done
verdict 'the number of a transaction that was lost by a crash' "$seen" "$(cat <<'EXPECTED'
15.18: committed, with a higher number in a file aborted
17.12: committed, with a higher number in a file aborted
EXPECTED
)"$'\n'
