#!/usr/bin/env bash
# What drafting saves: one question with cloud, split and hat, over a near and a far link, and what the figures mean.
#   examples/hat.sh ["question"]
# VIRGA=FILE      the command, default build/release/deploy/virga (`make` builds it)
# MANIFEST=FILE   what to launch, default deploy/manifests/demo.yaml; its first edge node is asked
set -euo pipefail
cd "$(dirname "$0")/.."
virga=${VIRGA:-build/release/deploy/virga}
manifest=${MANIFEST:-deploy/manifests/demo.yaml}
question=${1:-describe taylor bennett : town job pet ?}

# 1. Launch: a cloud node holds the middle of the model, an edge node its first layers, the head and an adapter that drafts.
trap '"$virga" down "$manifest" >/dev/null' EXIT
"$virga" up "$manifest"
port=$("$virga" status "$manifest" --json | python3 -c '
import json, sys
print(next(n["api_port"] for n in json.load(sys.stdin)["nodes"] if "hat" in n["status"]["strategies"] and n["api_port"]))')

ask() {
  curl --silent --show-error --fail-with-body "http://127.0.0.1:$port/v1/chat/completions" -H 'Content-Type: application/json' \
    -d "$(python3 -c 'import json, sys; print(json.dumps({"model": "virga/" + sys.argv[1], "max_tokens": 128,
          "messages": [{"role": "user", "content": sys.argv[2]}]}))' "$1" "$question")"; }

# 2. Compare. `drafts` says for each round how many tokens were drafted, how many of them stood, and where the draft came from.
compare() {
  echo -e "\n== a round trip of $1 ms =="
  "$virga" chaos edge-1 --manifest "$manifest" --latency-ms "$(($1 / 2))" >/dev/null
  for strategy in cloud split hat; do
    ask "$strategy" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
how, text = answer["virga"], answer["choices"][0]["message"]["content"]
tokens = answer["usage"]["completion_tokens"]
print("{:6}{:4} tokens in {:7.1f} ms, {:5.1f} ms a token, {:3} round trips, {:6} bytes up: {}...".format(
    how["strategy"], tokens, how["time_ms"]["total"], how["tbt_ms"], how["round_trips"], how["bytes_up"], text[:40]))
rounds = how.get("drafts", [])[1:]
if rounds:
    stood, drafted = sum(r[1] for r in rounds), sum(r[0] for r in rounds)
    print("      {} of {} drafted tokens stood: {:.1f} tokens a round; {} of {} drafts were guessed while waiting".format(
        stood, drafted, sum(r[1] + 1 for r in rounds) / len(rounds), sum(r[2] > 0 for r in rounds), len(rounds)))'
  done
}
compare 10
compare 60

# 3. What it means.
cat <<'TEXT'

cloud   one message there, tokens stream back: the link costs one delay, but prompt and answer leave the device.
split   the middle of the model runs in the cloud: tokens stay here, and each one costs a round trip.
hat     the device drafts several tokens, one round trip verifies them all; the text is the same, always.
        A token costs about (round trip + compute) / tokens a round, so the farther the cloud, the more drafting saves.
Hidden states can be inverted: tokens that stay here are not thereby private.
TEXT
