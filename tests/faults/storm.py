#!/usr/bin/env python3
"""Random faults on a cloud of several nodes and its edge, under load: part of `make soak`.

  tests/faults/storm.py build/release/deploy/virga --minutes 60 --seed 1

Clients ask with every strategy all the time; every few seconds a node is killed, frozen or told to end, or the link is cut, stalled,
partitioned, slowed or corrupted, sometimes before the last fault is over. Each answer must be the right text or an error that says what
was wrong; when the storm is over everything works again, no engine holds a sequence, and `down` leaves nothing.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "deploy"))
from toy import CLUSTER, Toy, free_port, wait_until  # noqa: E402

NODES = ("front", "replica-1", "replica-2", "stage-1", "stage-2", "edge-1")
STRATEGIES = ("cloud", "edge", "split", "hat")
TOKENS = 48
# What a client may be told while something is broken; "gone" is an edge that was killed with its gateway.
ERRORS = {"peer_unreachable", "shutting_down", "unknown_session", "deadline_exceeded", "queue_full", "stale_epoch", "stale_position",
          "stale_incarnation", "internal", "gone", "server_error"}

BROKEN = ("cut off", "terminate called", "Sanitizer", "runtime error:")  # in a node's log


class Storm:
    def __init__(self, toy: Toy, ports: dict, seed: int):
        self.toy, self.ports, self.rng = toy, ports, random.Random(seed)
        self.right, self.seen, self.wrong = {}, collections.Counter(), []
        self.faults = collections.Counter()
        self.over = threading.Event()
        self.slowest = 0.0

    def learn(self) -> None:
        for s in STRATEGIES:
            for i in range(6):
                code, answer = self.toy.ask(s, TOKENS, prompt=f"w{4 + i} w5")
                assert code == 200, answer
                self.right[s, i] = answer["choices"][0]["text"]

    def client(self, number: int) -> None:
        rng = random.Random(number)
        while not self.over.is_set():
            strategy, i = rng.choice(STRATEGIES), rng.randrange(6)
            begun = time.monotonic()
            code, answer = self.toy.ask(strategy, TOKENS, prompt=f"w{4 + i} w5")
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if code == 200:
                good, said = answer["choices"][0]["text"] == self.right[strategy, i], "ok"
            else:
                said = answer.get("error", {}).get("code") or "gone"
                good = said in ERRORS
                time.sleep(0.1)
            self.seen[strategy, said] += 1
            if not good:
                self.wrong.append((strategy, i, code, answer))

    def pid(self, name: str) -> int:
        return next((pid for pid, who in self.toy.processes().items() if who == name), 0)

    def signal(self, name: str, what: int) -> None:
        pid = self.pid(name)
        if pid:
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                pass

    def freeze(self, name: str, seconds: float) -> None:
        self.signal(name, signal.SIGSTOP)
        time.sleep(seconds)
        self.signal(name, signal.SIGCONT)

    def shape(self, *options: str) -> None:
        self.toy.run("chaos", "edge-1", *options)  # an edge that is down has no shaper: nothing to do

    def shape_for(self, seconds: float, *options: str) -> None:
        self.shape(*options)
        time.sleep(seconds)
        self.shape("--reset")

    def fault(self) -> None:
        node, seconds = self.rng.choice(NODES), self.rng.uniform(0.3, 3.5)
        name, strike = self.rng.choice((
            ("kill", lambda: self.signal(node, signal.SIGKILL)), ("kill", lambda: self.signal(node, signal.SIGKILL)),
            ("freeze", lambda: self.freeze(node, seconds)),
            ("cut", lambda: self.shape("--cut")), ("stall", lambda: self.shape("--stall-ms", str(int(1000 * seconds)))),
            ("partition", lambda: self.shape_for(seconds, "--partition", "on", "--direction", self.rng.choice(("up", "down", "both")))),
            ("slow", lambda: self.shape_for(seconds, "--latency-ms", "80", "--jitter-ms", "20", "--mbit", "1")),
            ("flips", lambda: self.shape_for(seconds, "--flips-per-mb", "100")),
            ("slices", lambda: self.shape_for(seconds, "--slice-bytes", "7"))))
        self.faults[name] += 1
        threading.Thread(target=strike).start()

    def blow(self, minutes: float, clients: int) -> None:
        asking = [threading.Thread(target=self.client, args=(i,)) for i in range(clients)]
        for t in asking:
            t.start()
        end = time.monotonic() + 60 * minutes
        told = time.monotonic()
        while time.monotonic() < end and not self.wrong:
            self.fault()
            time.sleep(self.rng.uniform(1, 6))
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"[storm] {sum(self.faults.values())} faults, {sum(self.seen.values())} answers, {self.total('ok')} right", flush=True)
        self.over.set()
        for t in asking:
            t.join()

    def total(self, said: str) -> int:
        return sum(n for (_, what), n in self.seen.items() if what == said)

    def calm(self) -> list:
        """What is not as it was 15 s after the last fault."""
        self.shape("--reset")
        bad = []
        for s in STRATEGIES:
            if not wait_until(lambda: all(self.toy.ask(s, TOKENS, prompt=f"w{4 + i} w5") [0] == 200 for i in range(6)), 15):
                bad.append(f"{s} does not work again")
        if not wait_until(lambda: self.sequences() == 0, 15):
            bad.append(f"{self.sequences()} sequences are left in engines")
        return bad

    def sequences(self) -> int:
        nodes = self.toy.status()["nodes"]
        return sum(e["sequences"] for n in nodes if n["status"] for e in n["status"]["engines"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("virga")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=6)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="virga-test-") as folder:
        toy = Toy(o.virga, folder)
        ports = {name: free_port() for name in NODES[:-1]}
        toy.write_manifest(lambda text: text.replace("max_restarts: 9", "max_restarts: 1000"), CLUSTER, **ports)
        try:
            up = toy.run("up", "toy.yaml")
            assert up.returncode == 0, up.stderr
            storm = Storm(toy, ports, o.seed)
            storm.learn()
            storm.blow(o.minutes, o.clients)
            bad = [f"wrong: {w}" for w in storm.wrong[:5]] + storm.calm()
            toy.run("down")
            bad += [f"left behind: {x}" for x in toy.leftovers()]
            for name in NODES:
                bad += [f"{name}: {line}" for line in toy.log(name).splitlines() if any(x in line for x in BROKEN)]
        finally:
            if bad := locals().get("bad"):
                for name in NODES:
                    print(f"---- {name}\n" + "\n".join(toy.log(name).splitlines()[-30:]))
            toy.end()
    answers = {f"{s} {said}": n for (s, said), n in sorted(storm.seen.items())}
    print(json.dumps({"minutes": o.minutes, "seed": o.seed, "faults": storm.faults, "answers": answers, "slowest_s": round(storm.slowest, 1),
                      "bad": bad or []}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
