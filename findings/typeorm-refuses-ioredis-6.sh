#!/usr/bin/env bash
# typeorm 1.1.1, ioredis 6.0.0 and 5.4.0, npm.
# An application has TypeORM for its tables, and ioredis 6 for its queues. Guess: the client of a query cache that it does not
# use is an optional peer, and its version does not matter. npm does not install the two beside each other.
source "$(dirname "$0")/support.sh"

seen=''
for version in 6.0.0 5.4.0; do
  folder=$(mktemp -d)
  printf '{"name":"shop","private":true,"dependencies":{"typeorm":"1.1.1","ioredis":"%s"}}' "$version" >"$folder/package.json"
  said=$(npm install --prefix "$folder" --package-lock-only --no-audit --no-fund 2>&1) && said=installed
  seen+="ioredis $version: $(grep -oE 'ERESOLVE|installed' <<<"$said" | head -n 1)"$'\n'
  rm -rf "$folder"
done
verdict 'TypeORM beside ioredis' "$seen" "$(cat <<'EXPECTED'
ioredis 6.0.0: ERESOLVE
ioredis 5.4.0: installed
EXPECTED
)"$'\n'
