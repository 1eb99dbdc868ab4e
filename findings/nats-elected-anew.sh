#!/usr/bin/env bash
# NATS 2.9.10, 2.10.27 and 2.15 (Debian), @nats-io/jetstream 3.4.0.
# The leader of a stream with three replicas is killed. Guess: the other two agree on a new one within a heartbeat or two, and
# publishes go on in less than a second. An election begins only after 4 to 9 seconds without a word from the leader: until then
# nobody acknowledges. A leader that is asked to step down is followed within a second.
source "$(dirname "$0")/support.sh"
packages @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0

seen=''
for version in '2.9.10 bookworm' '2.10.27 trixie' '2.15 unstable'; do
  root=$(debian_root "nats-${version% *}" "${version#* }" nats-server)
  routes=()
  ports=()
  for n in 1 2 3; do
    routes+=("nats://127.0.0.1:$(free_port)")
    ports+=("$(free_port)")
  done
  pids=()
  for n in 0 1 2; do
    data=$(mktemp -d "$work/nats-XXXX")
    setpriv --pdeathsig KILL "$root/usr/sbin/nats-server" -a 127.0.0.1 -p "${ports[n]}" -js -sd "$data" --server_name "s$n" \
      --cluster_name findings --cluster "${routes[n]}" --routes "$(IFS=,; echo "${routes[*]}")" >"$data.log" 2>&1 &
    started+=($!)
    disown
    pids+=("${started[-1]}")
  done
  seen+="${version% *}: $(PORTS="${ports[*]}" PIDS="${pids[*]}" run <<'JS'
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
const [ports, pids] = [process.env.PORTS.split(' '), process.env.PIDS.split(' ').map(Number)];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const insist = async (work) => {
  for (const until = Date.now() + 60_000; ; )
    try {
      return await work();
    } catch (error) {
      if (Date.now() > until) throw error;
      await pause(50);
    }
};
const servers = ports.map((port) => `127.0.0.1:${port}`);
const manager = await insist(async () => jetstreamManager(await connect({ servers: servers[0] })));
await insist(() => manager.streams.add({ name: 's', subjects: ['s'], num_replicas: 3 }));
const leader = () => insist(async () => (await manager.streams.info('s')).cluster.leader);
/** How long nobody acknowledges. */
async function silence(from) {
  const connection = await insist(() => connect({ servers: from, reconnect: false }));
  const client = jetstream(connection);
  await insist(() => client.publish('s', 'x', { timeout: 500 }));
  return {
    async since(begin) {
      await insist(() => client.publish('s', 'x', { timeout: 250 }));
      await connection.close();
      return Date.now() - begin;
    },
  };
}
const other = () => servers.filter((_, n) => `s${n}` !== current)[0];
let current = await leader();
const stepping = await silence(other());
let begin = Date.now();
const connection = await connect({ servers: servers[0] });
await connection.request('$JS.API.STREAM.LEADER.STEPDOWN.s', '{}', { timeout: 5_000 });
const asked = await stepping.since(begin);
current = await leader();
await connection.close();
const killing = await silence(other());
begin = Date.now();
process.kill(pids[Number(current.slice(1))], 'SIGKILL');
await pause(100);
const killed = await killing.since(begin);
console.log(`asked to step down: ${asked < 2000 ? 'less' : 'more'} than 2 s; killed: ${killed > 3000 && killed < 30000 ? 'some seconds' : `${killed} ms`}`);
process.exit(0);
JS
)"$'\n'
done
verdict 'how long a stream has no leader' "$seen" "$(cat <<'EXPECTED'
2.9.10: asked to step down: less than 2 s; killed: some seconds
2.10.27: asked to step down: less than 2 s; killed: some seconds
2.15: asked to step down: less than 2 s; killed: some seconds
EXPECTED
)"$'\n'
