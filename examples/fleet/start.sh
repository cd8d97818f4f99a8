#!/usr/bin/env bash
# Two runners and one reader on one Redis, all on loopback, in one folder. Ends with Ctrl-C.
#
# Usage: start.sh [FOLDER]. The environment is the runners' (a key, a base URL); FLEET_PORTS are three ports.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
main=$here/../../dist/main.js
folder=$(realpath -m "${1:-$(mktemp -d)}")
read -r first_port second_port reader_port <<<"${FLEET_PORTS:-8101 8102 8103}"
redis=
processes=()

# The runners first: their last words go to Redis.
finish() {
  trap - EXIT INT TERM
  for process in "${processes[@]}" $redis; do
    kill "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
}
trap finish EXIT
trap 'exit 0' INT TERM

# starts NAME PORT COMMAND: its workspace, its state and its log are its own, as if it were on its own machine.
starts() {
  mkdir -p "$folder/$1/workspace"
  EVENT_LOG_URL=unix://$folder/redis.sock FORWARD_RUNS=true THREAD_LEASE_MS=${THREAD_LEASE_MS:-5000} \
    AGUI_PORT=$2 WORKSPACE_PATH=$folder/$1/workspace RUNNER_STATE_DIR=$folder/$1/state \
    node "$main" "$3" >"$folder/$1.log" 2>&1 &
  processes+=("$!")
  echo "$!" >"$folder/$1.pid"
}

# answers PORT PROCESS
answers() {
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    kill -0 "$2"
    sleep 0.1
  done
}

mkdir -p "$folder"
redis-server --port 0 --unixsocket "$folder/redis.sock" --dir "$folder" --save '' \
  --appendonly yes --maxmemory-policy noeviction >"$folder/redis.log" 2>&1 &
redis=$!
until [ -S "$folder/redis.sock" ]; do
  kill -0 "$redis"
  sleep 0.1
done
starts first "$first_port" serve
starts second "$second_port" serve
starts reader "$reader_port" read
answers "$first_port" "${processes[0]}"
answers "$second_port" "${processes[1]}"
answers "$reader_port" "${processes[2]}"
echo "first http://127.0.0.1:$first_port second http://127.0.0.1:$second_port reader http://127.0.0.1:$reader_port folder $folder"
# A runner may be killed: that is what the other one is for.
wait "$redis"
