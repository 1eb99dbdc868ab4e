#!/usr/bin/env bash
# PostgreSQL 15.18 and 17.12 (Debian), pg 8.23.1.
# Two processes make a table if it is missing, one after the other by an advisory lock. Guess: in READ COMMITTED each statement
# sees what was committed before it, so the second one, which asks once more when it has the lock, finds the table. A query of
# the catalogue does; `to_regclass` goes on saying that there is none where it was asked before, and `CREATE TABLE` fails.
source "$(dirname "$0")/support.sh"
packages pg@8.23.1

seen=''
for version in '15 bookworm' '17 trixie'; do
  postgres $version
  seen+="$(run <<'JS'
import pg from 'pg';
const [first, second] = [0, 1].map(() => new pg.Client(process.env.URL));
await Promise.all([first.connect(), second.connect()]);
const one = async (client, text) => Object.values((await client.query(text)).rows[0])[0];
const { server_version: version } = (await first.query('show server_version')).rows[0];
const asked = [];
await second.query('begin');
asked.push(await one(second, "select to_regclass('made') is not null"));
await first.query('begin');
await first.query('select pg_advisory_xact_lock(1)');
await first.query('create table made (n int)');
const waiting = second.query('select pg_advisory_xact_lock(1)');
await first.query('commit');
await waiting;
asked.push(await one(second, "select to_regclass('made') is not null"));
asked.push(await one(second, "select exists (select from pg_class where relname = 'made')"));
const made = await second.query('create table made (n int)').then(() => 'made', ({ code }) => code);
console.log(`${version.split(' ')[0]}: before ${asked[0]}, with the lock ${asked[1]}, by the catalogue ${asked[2]}, create ${made}`);
await Promise.all([first.end(), second.end()]);
JS
)"$'\n'
done
verdict 'a table that was made while one waited for a lock' "$seen" "$(cat <<'EXPECTED'
15.18: before false, with the lock false, by the catalogue true, create 42P07
17.12: before false, with the lock false, by the catalogue true, create 42P07
EXPECTED
)"$'\n'
