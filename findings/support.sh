# What the findings share: brokers of Debian in a temp folder, pinned packages of npm beside them, and a verdict.
# Sourced, not run. Needs Debian 12 or later, root, Node 20 or later.
set -euo pipefail

work=$(mktemp -d)
started=()
roots=${XDG_CACHE_HOME:-$HOME/.cache}/nestjs-messaging
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

finish() {
  for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  while kill -0 "${started[@]}" 2>/dev/null; do sleep 0.05; done
  rm -rf "$work"
}
trap finish EXIT

# packages NAME@VERSION …: installs them where `run` finds them.
packages() {
  (cd "$work" && echo '{"private":true}' >package.json && npm install --no-audit --no-fund --loglevel=error "$@" >/dev/null)
}

# run: an ES module on standard input, with $URL of the last broker started.
run() {
  cat >"$work/script.mjs"
  (cd "$work" && node script.mjs)
}

# verdict WHAT SEEN EXPECTED: fails when the behaviour is another one.
verdict() {
  if [ "$2" != "$3" ]; then
    echo "CHANGED: $1"
    diff <(echo "$3") <(echo "$2") || true
    exit 1
  fi
  printf '%s\n%s\n' "AS SEEN: $1" "$2"
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

# debian_root NAME SUITE PACKAGE…: a folder with packages of that suite, unpacked; nothing is installed on the machine.
# What `npm test` has unpacked is used where it is there.
debian_root() {
  local name=$1 suite=$2 root=$roots/$1
  shift 2
  if [ -d "$root" ]; then
    echo "$root"
    return
  fi
  local apt=$work/apt-$name
  root=$work/root-$name
  mkdir -p "$apt"/{etc/apt.conf.d,etc/preferences.d,lists/partial,archives/partial} "$root"
  : >"$apt/status"
  local source
  source=$(grep -lE '^Types:|^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
  case $source in
    *.sources) awk -v RS= -v suite="$suite" '!/security/ { gsub(/Suites:[^\n]*/, "Suites: " suite); print $0 "\n"; exit }' "$source" >"$apt/etc/debian.sources" ;;
    *) sed -nE "/security|updates/!s#^deb (\[[^]]*\] )?([^ ]+) [^ ]+ .*#deb \1\2 $suite main#p" "$source" | head -1 >"$apt/etc/sources.list" ;;
  esac
  apt-config dump Acquire >"$apt/apt.conf"
  cat >>"$apt/apt.conf" <<CONF
Dir::Etc "$apt/etc"; Dir::Etc::sourceparts "$apt/etc"; Dir::Etc::trusted "/etc/apt/trusted.gpg"; Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Dir::State "$apt"; Dir::State::status "$apt/status"; Dir::Cache "$apt"; APT::Sandbox::User "root"; Acquire::Languages "none";
CONF
  (
    export APT_CONFIG=$apt/apt.conf DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install --yes --no-install-recommends --download-only "$@" dash coreutils sed grep
  ) >&2
  for deb in "$apt"/archives/*.deb; do dpkg -x "$deb" "$root"; done
  for folder in bin sbin lib lib64; do [ -e "$root/$folder" ] || ln -s "usr/$folder" "$root/$folder"; done
  [ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
  mkdir -p "$root"/{dev,proc,tmp,data}
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  echo "$root"
}

# rabbitmq VERSION SUITE [line of rabbitmq.conf …]: sets URL, and PID of the node.
rabbitmq() {
  local version=$1 root data port epmd dist
  root=$(debian_root "rabbitmq-$version" "$2" rabbitmq-server)
  shift 2
  data=$(mktemp -d "$work/rabbitmq-XXXX")
  port=$(free_port) epmd=${EPMD:-$(free_port)} dist=$(free_port)
  mkdir "$data/home" "$data/config"
  (umask 277 && echo findings >"$data/home/.erlang.cookie")
  echo '[].' >"$data/enabled_plugins"
  printf '%s\n' "listeners.tcp.1 = 127.0.0.1:$port" 'disk_free_limit.absolute = 50MB' 'vm_memory_high_watermark.absolute = 512MB' "$@" >"$data/rabbitmq.conf"
  node=("$root" "$data" "$epmd" "$dist" "$port")
  [ -n "${EPMD:-}" ] || launch /usr/bin/epmd -port "$epmd" -address 127.0.0.1
  boot_rabbitmq
}

# boot_rabbitmq: starts the last node, also once more on its data after `kill_broker`.
boot_rabbitmq() {
  local data=${node[1]} port=${node[4]}
  launch /usr/lib/rabbitmq/bin/rabbitmq-server
  export PID=${started[-1]} URL=amqp://guest:guest@127.0.0.1:$port
  for _ in $(seq 1200); do
    # A broker that answers the protocol header with connection.start is ready.
    if node -e 'const s = require("net").connect(+process.argv[1], "127.0.0.1", () => s.write("AMQP\0\0\x09\x01")); s.on("data", () => process.exit(0)); s.on("error", () => process.exit(1)); setTimeout(() => process.exit(1), 2000)' "$port" 2>/dev/null; then
      return
    fi
    sleep 0.1
  done
  echo 'RabbitMQ did not start' >&2
  tail -5 "$data/output.log" >&2
  exit 1
}

# cluster VERSION SUITE: three nodes as one; sets URL of the first, and URLS and PIDS, of all.
cluster() {
  local EPMD='' urls=() pids=() first n
  for n in 1 2 3; do
    rabbitmq "$1" "$2"
    EPMD=${node[2]}
    urls+=("$URL") pids+=("$PID")
    if [ "$n" = 1 ]; then
      first=("${node[@]}")
    else
      local join="rabbit:stop(), J = case code:ensure_loaded(rabbit_db_cluster) of {module, M} -> M:join('findings-${first[4]}@localhost', disc); _ -> rabbit_mnesia:join_cluster('findings-${first[4]}@localhost', disc) end, rabbit:start(), J"
      # Its listener takes clients before it has booted; stopped by then it would end.
      until erlang 'init:get_status()' 2>/dev/null | grep -q '{started, *started}'; do sleep 0.2; done
      erlang "$join" | grep -qE 'ok, ok|already_member'
    fi
  done
  node=("${first[@]}")
  export URL=${urls[0]} URLS="${urls[*]}" PIDS="${pids[*]}"
}

# erlang EXPRESSION: evaluates it in the last node, as `rabbitmqctl eval` does, and prints the result.
erlang() {
  (inside /usr/bin/erl_call -address "127.0.0.1:${node[3]}" -c findings -h "findings-$RANDOM-$RANDOM" -timeout 60 -e) <<<"$1."
}

# kill_broker: SIGKILL for the last node of RabbitMQ or server of NATS. Its data stay.
kill_broker() {
  local alive=() pid
  kill -KILL "$PID" 2>/dev/null || true
  while kill -0 "$PID" 2>/dev/null; do sleep 0.02; done
  for pid in "${started[@]}"; do [ "$pid" = "$PID" ] || alive+=("$pid"); done
  started=("${alive[@]}")
}

# launch COMMAND …: inside the last node's root, in the background.
launch() {
  (inside "$@") >>"${node[1]}/output.log" 2>&1 &
  started+=($!)
  disown
}

# inside COMMAND …: replaces the shell.
inside() {
  local root=${node[0]} data=${node[1]} epmd=${node[2]} dist=${node[3]} port=${node[4]}
  exec env -i PATH=$path LANG=C.UTF-8 HOME=/data/home ERL_EPMD_PORT="$epmd" ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP_SECONDS=0 \
    RABBITMQ_NODENAME="findings-$port@localhost" RABBITMQ_NODE_PORT="$port" RABBITMQ_DIST_PORT="$dist" \
    RABBITMQ_MNESIA_BASE=/data/mnesia RABBITMQ_LOG_BASE=/data/log RABBITMQ_PID_FILE=/data/pid RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_CONFIG_FILE=/data/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=/data/enabled_plugins RABBITMQ_GENERATED_CONFIG_DIR=/data/config \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1} +S 2:2' RUNNING_UNDER_SYSTEMD=true \
    setpriv --pdeathsig KILL unshare --mount --propagation private sh -ec \
    'mount --rbind /proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --bind "$2" "$1/data"; root=$1; shift 2; exec chroot "$root" "$@"' \
    sh "$root" "$data" "$@"
}

# nats VERSION SUITE: sets URL, and PID of the server.
nats() {
  local root port
  root=$(debian_root "nats-$1" "$2" nats-server)
  port=$(free_port)
  server=("$root/usr/sbin/nats-server" -a 127.0.0.1 -p "$port" -js -sd "$work/nats-$port")
  boot_nats
}

# on_each_nats: an ES module on standard input, run with a new server of each version; `seen` has what it printed.
on_each_nats() {
  local module version
  module=$(cat)
  seen=''
  for version in '2.9.10 bookworm' '2.10.27 trixie' '2.15 unstable'; do
    nats $version
    seen+="${version% *}: $(run <<<"$module")"$'\n'
  done
}

# boot_nats: starts the last server, also once more on its data after `kill_broker`.
boot_nats() {
  local port=${server[4]}
  setpriv --pdeathsig KILL "${server[@]}" >>"$work/nats-$port.log" 2>&1 &
  started+=($!)
  disown
  export PID=${started[-1]} URL=nats://127.0.0.1:$port
  for _ in $(seq 200); do
    if node -e 'const s = require("net").connect(+process.argv[1], "127.0.0.1"); s.on("data", () => process.exit(0)); s.on("error", () => process.exit(1))' "$port" 2>/dev/null; then
      return
    fi
    sleep 0.05
  done
  echo 'NATS did not start' >&2
  exit 1
}

# postgres VERSION SUITE: sets URL of a new server, which runs as nobody.
postgres() {
  local version=$1 root data port bin=/usr/lib/postgresql/$1/bin log
  root=$(debian_root "postgresql-$version" "$2" "postgresql-$version" util-linux)
  data=$(mktemp -d "$work/postgres-XXXX")
  port=$(free_port)
  log=$data.log
  chmod 755 "$work" && chown 65534:65534 "$data"
  (as_nobody "$root" "$data" "$bin/initdb" -D /data/pg -U postgres --no-locale --no-sync -A trust) >"$log" 2>&1
  (as_nobody "$root" "$data" "$bin/postgres" -D /data/pg -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories=) >>"$log" 2>&1 &
  started+=($!)
  disown
  export URL=postgres://postgres@127.0.0.1:$port/postgres
  for _ in $(seq 600); do
    if grep -q 'ready to accept connections' "$log"; then return; fi
    sleep 0.1
  done
  echo 'PostgreSQL did not start' >&2
  tail -5 "$log" >&2
  exit 1
}

# as_nobody ROOT DATA COMMAND …: inside of a root; ends with the script.
as_nobody() {
  exec env -i PATH=$path LC_ALL=C unshare --mount --propagation private sh -ec \
    'mount --rbind /proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --bind "$2" "$1/data"; root=$1; shift 2
    exec chroot "$root" setpriv --reuid=65534 --regid=65534 --clear-groups --pdeathsig=KILL "$@"' sh "$@"
}

# kafka VERSION: sets URL of a new broker (KRaft, one node). Needs Java 17, and Maven where the tests have not fetched it.
kafka() {
  local jars=$roots/kafka-$1 data client controller java
  data=$(mktemp -d "$work/kafka-XXXX")
  if [ ! -d "$jars" ]; then
    jars=$work/kafka-jars
    cat >"$data/pom.xml" <<XML
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$1</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
XML
    mvn -q -f "$data/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$jars" >&2
  fi
  client=$(free_port) controller=$(free_port)
  printf '%s\n' process.roles=broker,controller node.id=1 "listeners=PLAINTEXT://127.0.0.1:$client,CONTROLLER://127.0.0.1:$controller" \
    "advertised.listeners=PLAINTEXT://127.0.0.1:$client" controller.listener.names=CONTROLLER "log.dirs=$data/data" \
    listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT "controller.quorum.voters=1@127.0.0.1:$controller" \
    {offsets.topic,transaction.state.log,share.coordinator.state.topic}.replication.factor=1 \
    {transaction.state.log,share.coordinator.state.topic}.min.isr=1 {offsets.topic,transaction.state.log}.num.partitions=1 \
    group.initial.rebalance.delay.ms=0 auto.create.topics.enable=false >"$data/server.properties"
  java=(java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$jars/*")
  "${java[@]}" kafka.tools.StorageTool format -t "$("${java[@]}" kafka.tools.StorageTool random-uuid 2>/dev/null)" -c "$data/server.properties" >"$data/log" 2>&1
  setpriv --pdeathsig KILL "${java[@]}" kafka.Kafka "$data/server.properties" >>"$data/log" 2>&1 &
  started+=($!)
  disown
  export URL=127.0.0.1:$client
  for _ in $(seq 900); do
    if grep -q 'Kafka Server started' "$data/log"; then return; fi
    sleep 0.1
  done
  echo 'Kafka did not start' >&2
  tail -5 "$data/log" >&2
  exit 1
}

# redis NAME SUITE PACKAGE [OPTION …]: sets URL of a new server of that package (redis-server or valkey-server).
redis() {
  local root data port log program=$3
  root=$(debian_root "$1" "$2" "$program")
  shift 3
  data=$(mktemp -d "$work/redis-XXXX")
  port=$(free_port)
  log=$data.log
  setpriv --pdeathsig KILL unshare --mount --propagation private sh -ec \
    'mount --bind "$2" "$1/data"; root=$1; shift 2; exec chroot "$root" "$@"' \
    sh "$root" "$data" env LC_ALL=C "/usr/bin/$program" --bind 127.0.0.1 --port "$port" --dir /data --save '' "$@" >"$log" 2>&1 &
  started+=($!)
  disown
  export URL=redis://127.0.0.1:$port
  for _ in $(seq 200); do
    if grep -q 'Ready to accept connections' "$log"; then return; fi
    sleep 0.05
  done
  echo "$program did not start" >&2
  tail -5 "$log" >&2
  exit 1
}
