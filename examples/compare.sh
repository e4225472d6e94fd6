#!/usr/bin/env bash
# One question, three strategies: launch a deployment, ask it, compare, stop it.
#   examples/compare.sh ["question"]
# VIRGA=FILE      the command, default build/release/deploy/virga (`make` builds it)
# MANIFEST=FILE   what to launch, default deploy/manifests/demo.yaml
set -euo pipefail
cd "$(dirname "$0")/.."
virga=${VIRGA:-build/release/deploy/virga}
manifest=${MANIFEST:-deploy/manifests/demo.yaml}
question=${1:-describe taylor bennett : town job pet ?}

# 1. Launch: one process per node; returns when all are ready. Whatever happens below, nothing keeps running.
trap '"$virga" down "$manifest" >/dev/null' EXIT
"$virga" up "$manifest"

# 2. Any OpenAI client can ask. The model's name says how the answer is made: virga/cloud, virga/edge, virga/split.
port=$("$virga" status "$manifest" --json | python3 -c '
import json, sys
print(next(n["api_port"] for n in json.load(sys.stdin)["nodes"] if "split" in n["status"]["strategies"] and n["api_port"]))')
ask() {
  curl --silent --show-error --fail-with-body "http://127.0.0.1:$port/v1/chat/completions" -H 'Content-Type: application/json' \
    -d "$(python3 -c 'import json, sys; print(json.dumps({"model": "virga/" + sys.argv[1], "max_tokens": 128,
          "messages": [{"role": "user", "content": sys.argv[2]}]}))' "$1" "$question")"
}

# 3. Compare. The `virga` object beside the answer says who did what, and what it cost.
echo
echo "question: $question"
for strategy in cloud edge split; do
  ask "$strategy" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
how = answer["virga"]
print("\n" + how["strategy"] + ": " + answer["choices"][0]["message"]["content"])
for place in how["places"]:
    print("    " + place["node"] + " ran " + place["stages"])
print("    {:.0f} ms, {} round trips, {} bytes up, {} down".format(
    how["time_ms"]["total"], how["round_trips"], how["bytes_up"], how["bytes_down"]))'
done

# 4. The same from a terminal, streamed.
echo
"$virga" chat "$manifest" --strategy split --message "$question"

# 5. Stop: the trap above runs `virga down`; no process, port or temporary file is left.
