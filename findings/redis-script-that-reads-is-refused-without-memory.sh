#!/usr/bin/env bash
# Redis 7.0.15 and Valkey 8.1 (Debian), ioredis 6.0.0.
# With `maxmemory` reached, commands that need memory are refused, and in a script the first command that does. A first line
# `#!lua` says which engine the script is for. Guess: it changes nothing else, and a script that only reads goes on working.
# With it the server looks at the script's flags before it begins: without `no-writes` or `allow-oom` the script is refused,
# whatever it does; one that removes is refused, too, which runs without that line.
source "$(dirname "$0")/support.sh"
packages ioredis@6.0.0

seen=''
for server in 'redis-7.0.15 bookworm redis-server' 'valkey-8.1 trixie valkey-server'; do
  redis $server --maxmemory-policy noeviction
  seen+="$(run <<'JS'
import { Redis } from 'ioredis';
const client = new Redis(process.env.URL);
const info = await client.info('server');
const name = /valkey_version:(\S+)/.exec(info)?.[1] ?? /redis_version:(\S+)/.exec(info)[1];
await client.rpush('list', 'one', 'two', 'three');
await client.config('SET', 'maxmemory', '1');
const told = (script) => client.eval(script, 1, 'list').then(() => 'runs', (error) => error.message.split(' ')[0]);
const scripts = {
  'reads': `return redis.call('LLEN', KEYS[1])`,
  'reads, #!lua': `#!lua\nreturn redis.call('LLEN', KEYS[1])`,
  'reads, no-writes': `#!lua flags=no-writes\nreturn redis.call('LLEN', KEYS[1])`,
  'removes': `return redis.call('LPOP', KEYS[1])`,
  'removes, #!lua': `#!lua\nreturn redis.call('LPOP', KEYS[1])`,
  'removes, allow-oom': `#!lua flags=allow-oom\nreturn redis.call('LPOP', KEYS[1])`,
};
const results = [];
for (const [what, script] of Object.entries(scripts)) results.push(`${what}: ${await told(script)}`);
console.log(`${name}: ${results.join('; ')}`);
client.disconnect();
JS
)"$'\n'
done
verdict 'scripts on a server without memory' "$seen" "$(cat <<'EXPECTED'
7.0.15: reads: runs; reads, #!lua: OOM; reads, no-writes: runs; removes: runs; removes, #!lua: OOM; removes, allow-oom: runs
8.1.1: reads: runs; reads, #!lua: OOM; reads, no-writes: runs; removes: runs; removes, #!lua: OOM; removes, allow-oom: runs
EXPECTED
)"$'\n'
