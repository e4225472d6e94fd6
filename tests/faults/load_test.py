"""Many clients at once against running nodes: every request has an outcome, and what is cancelled leaves nothing behind.

usage: load_test.py VIRGA [TEST...]
       load_test.py VIRGA --bench SECONDS    goodput at twice the capacity, as JSON
"""
import asyncio
import collections
import json
import pathlib
import resource
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "deploy"))
from toy import Toy, wait_until  # noqa: E402

VIRGA = ""
CONNECTIONS, ACTIVE, REQUESTS = 1000, 100, 10_000


class Connection:
    """One kept-alive HTTP/1.1 connection."""

    @classmethod
    async def open(cls, port: int):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    def send(self, method: str, path: str, body: bytes = b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)

    async def answer(self) -> tuple:
        """Status and body; of a stream nothing is read but its head."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = b""
        for line in head.split("\r\n"):
            if line.startswith("content-length:"):
                body = await self.reader.readexactly(int(line.split(":")[1]))
        return int(head.split()[1]), body

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple:
        self.send(method, path, body)
        return await asyncio.wait_for(self.answer(), 60)

    def close(self):
        self.writer.close()


def chat(strategy: str, max_tokens: int, **more) -> bytes:
    return json.dumps({"model": "virga/" + strategy, "messages": [{"role": "user", "content": "w4 w5 w6"}],
                       "max_tokens": max_tokens, **more}).encode()


async def ask_all(connections: list, count: int, body: bytes) -> collections.Counter:
    """`count` requests over these connections, each connection one at a time."""
    outcomes, left = collections.Counter(), count

    async def work(connection):
        nonlocal left
        while left > 0:
            left -= 1
            try:
                status, _ = await connection.ask("POST", "/v1/chat/completions", body)
                outcomes[status] += 1
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
                outcomes[f"unresolved: {type(e).__name__}"] += 1
                return

    await asyncio.gather(*(work(c) for c in connections))
    return outcomes


async def open_many(port: int, count: int) -> list:
    connections = []
    for _ in range(0, count, 50):
        connections += await asyncio.gather(*(Connection.open(port) for _ in range(50)))
    answers = await asyncio.gather(*(c.ask("GET", "/health/live") for c in connections))
    assert all(status == 200 for status, _ in answers)
    return connections


async def abandon(port: int, strategy: str, count: int):
    """Streams that are left after their first bytes."""
    async def one():
        connection = await Connection.open(port)
        status, _ = await connection.ask("POST", "/v1/chat/completions", chat(strategy, 60_000, stream=True, temperature=1))
        assert status in (200, 429, 503), status
        connection.close()

    await asyncio.gather(*(one() for _ in range(count)))


async def offer(port: int, per_s: float, seconds: float, body: bytes) -> collections.Counter:
    """An open loop: requests come at this rate, whether others have been answered or not."""
    outcomes, idle, running = collections.Counter(), [], set()

    async def one():
        connection = idle.pop() if idle else await Connection.open(port)
        status, _ = await connection.ask("POST", "/v1/chat/completions", body)
        outcomes[status if time.monotonic() < start + seconds else "after the end"] += 1
        idle.append(connection)

    start, sent = time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        while sent < now * per_s:
            running.add(task := asyncio.ensure_future(one()))
            task.add_done_callback(running.discard)
            sent += 1
        await asyncio.sleep(0.002)
    done, late = await asyncio.wait(running, timeout=60) if running else (set(), set())
    outcomes["unresolved"] = len(late) + sum(1 for t in done if t.exception())
    outcomes["offered"] = sent
    for connection in idle:
        connection.close()
    return outcomes


def idle_engines(toy: Toy) -> bool:
    """No sequence, no byte of KV cache and no session on any node."""
    nodes = [n["status"] for n in toy.status()["nodes"]]
    return all(e["sequences"] == e["waiting"] == e["kv_bytes"] == 0 for n in nodes for e in n["engines"]) \
        and all(n["gateway"]["answering"] == 0 for n in nodes)


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="virga-test-")
        cls.toy = Toy(VIRGA, cls.folder.name)
        cls.toy.write_manifest(lambda text: text + "limits: {max_requests: 128, max_sessions: 256}\n")
        result = cls.toy.run("up", "toy.yaml")
        assert result.returncode == 0, result.stdout + result.stderr

    @classmethod
    def tearDownClass(cls):
        cls.toy.run("down")
        cls.toy.end()
        cls.folder.cleanup()

    def test_a_thousand_connections_and_ten_thousand_requests_leave_none_without_an_outcome(self):
        async def run():
            connections = await open_many(self.toy.gateway, CONNECTIONS)
            outcomes = await ask_all(connections[:ACTIVE], REQUESTS, chat("edge", 4))
            still_there = await asyncio.gather(*(c.ask("GET", "/health/live") for c in connections))
            for c in connections:
                c.close()
            return outcomes, still_there

        outcomes, still_there = asyncio.run(run())
        self.assertEqual(outcomes, {200: REQUESTS})
        self.assertEqual({status for status, _ in still_there}, {200})
        self.assertTrue(wait_until(lambda: idle_engines(self.toy)), self.toy.status())

    def test_a_storm_of_cancelled_streams_leaves_no_kv_cache(self):
        for strategy in ("edge", "cloud", "split"):
            asyncio.run(abandon(self.toy.gateway, strategy, 200))
            self.assertTrue(wait_until(lambda: idle_engines(self.toy), 5), (strategy, self.toy.status()))

    def test_beyond_the_limit_requests_are_refused_at_once_and_the_others_answered(self):
        async def run():
            connections = await open_many(self.toy.gateway, 400)
            outcomes = await ask_all(connections, 1200, chat("split", 8))
            for c in connections:
                c.close()
            return outcomes

        outcomes = asyncio.run(run())
        self.assertEqual(outcomes[200] + outcomes[429], 1200, outcomes)
        self.assertGreaterEqual(outcomes[200], 128)
        self.assertGreater(outcomes[429], 0)
        self.assertTrue(wait_until(lambda: idle_engines(self.toy)), self.toy.status())


def bench(seconds: float):
    """The capacity in a closed loop, then twice that in an open one; the ratio is of this run alone."""
    Load.setUpClass()
    try:
        rows = []
        for strategy, tokens in (("edge", 40), ("cloud", 40)):
            async def run():
                body = chat(strategy, tokens)
                connections = await open_many(Load.toy.gateway, 100)
                start = time.monotonic()
                answered = await ask_all(connections, 3000, body)
                capacity = answered[200] / (time.monotonic() - start)
                for c in connections:
                    c.close()
                return capacity, await offer(Load.toy.gateway, 2 * capacity, seconds, body)

            capacity, outcomes = asyncio.run(run())
            good = outcomes[200] / seconds
            rows.append({"strategy": strategy, "tokens": tokens, "capacity_per_s": round(capacity, 1),
                         "offered_per_s": round(outcomes["offered"] / seconds, 1), "good_per_s": round(good, 1),
                         "goodput": round(good / capacity, 3), "refused": outcomes[429], "unresolved": outcomes["unresolved"]})
        print(json.dumps({"seconds": seconds, "rows": rows}, indent=1))
    finally:
        Load.tearDownClass()


if __name__ == "__main__":
    VIRGA = sys.argv.pop(1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    if sys.argv[1:2] == ["--bench"]:
        bench(float(sys.argv[2]))
    else:
        unittest.main(verbosity=2)
