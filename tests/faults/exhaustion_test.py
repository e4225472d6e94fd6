"""Full disks, readers that do not read, and signals under load. usage: exhaustion_test.py VIRGA [TEST...]"""
import concurrent.futures
import os
import pathlib
import resource
import signal
import socket
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "deploy"))
from toy import ToyTest, wait_until  # noqa: E402


class Exhaustion(ToyTest):
    def all_answer(self) -> bool:
        return all(self.toy.ask(s)[0] == 200 for s in ("cloud", "edge", "split"))

    # A file that may not grow is what a full disk is to a program; SIGXFSZ, which it brings beside the error, is ignored by Python,
    # and by what it starts without restoring signals.

    def test_a_full_disk_starts_nothing_and_says_so(self):
        def full():
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
        result = self.toy.run("up", "toy.yaml", preexec_fn=full, restore_signals=False)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        said = result.stderr.strip().splitlines()
        self.assertEqual(len(said), 1, said)
        self.assertIn("cannot be written; is the disk full?", said[0])
        self.assertEqual(self.toy.processes(), {})
        self.assertEqual(self.toy.leftovers(), [])

    def test_a_disk_that_fills_up_stops_the_logs_and_nothing_else(self):
        self.ok("up", "toy.yaml", restore_signals=False)
        pids = self.toy.processes()
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        before = len(self.toy.log("edge-1"))
        for _ in range(5):
            self.assertTrue(self.all_answer())
        self.assertEqual(len(self.toy.log("edge-1")), before, "nothing more could be written")
        self.assertEqual(self.toy.processes(), pids)
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.assertTrue(self.all_answer())
        self.assertGreater(len(self.toy.log("edge-1")), before)
        self.down()

    def under_load(self, strategy: str, victim: str) -> list:
        """Statuses and errors of 60 requests from 10 clients, while `victim` gets SIGTERM: after the first 20 answers."""
        answered = []
        def one(i):
            if i == 20:
                until = time.monotonic() + 60
                while len(answered) < 20 and time.monotonic() < until:
                    time.sleep(0.0005)
                os.kill(self.toy.pid(victim), signal.SIGTERM)
            code, answer = self.toy.ask(strategy, 60)
            if i < 20:
                answered.append(i)
            return code, answer["choices"][0]["text"] if code == 200 else answer.get("error", {}).get("code", "gone")
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            return list(pool.map(one, range(60)))

    def test_sigterm_under_load_finishes_what_runs_and_refuses_the_rest_with_a_reason(self):
        for strategy, victim, refusals in (("cloud", "cloud-1", {"shutting_down", "peer_unreachable"}),
                                           ("split", "cloud-1", {"shutting_down", "peer_unreachable"}),
                                           ("edge", "edge-1", {"shutting_down", "peer_unreachable", "gone"})):
            self.up()
            right = self.toy.ask(strategy, 60)[1]["choices"][0]["text"]
            old = self.toy.pid(victim)
            answers = self.under_load(strategy, victim)
            self.assertLessEqual({said for code, said in answers if code != 200}, refusals, strategy)
            self.assertEqual({said for code, said in answers if code == 200}, {right}, strategy)
            self.assertGreaterEqual(sum(code == 200 for code, _ in answers), 20, "those before it, and those that ran")
            self.assertTrue(wait_until(lambda: old not in self.toy.processes()), "it ends by itself")
            self.assertIn(f"node {victim} has ended", self.toy.log(victim))
            self.assertTrue(wait_until(self.all_answer), "its keeper has started it again")
            self.assertNotIn("cut off", self.toy.log(victim))
            self.down()

    def test_a_reader_that_does_not_read_is_cut_and_costs_the_others_nothing(self):
        self.up()
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", self.toy.gateway))
            s.setblocking(False)
            asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 4000
            try:
                while asked:
                    asked = asked[s.send(asked):]
            except BlockingIOError:
                pass  # the gateway reads no further while nobody takes its answers
            begun = time.monotonic()
            slowest = 0.0
            while self.is_open(s) and time.monotonic() - begun < 60:
                asked_at = time.monotonic()
                self.assertEqual(self.toy.ask("edge")[0], 200)
                slowest = max(slowest, time.monotonic() - asked_at)
                time.sleep(0.5)
            took = time.monotonic() - begun
        self.assertGreater(took, 20, "one write may wait for half a minute")
        self.assertLess(took, 45)
        self.assertLess(slowest, 5)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.toy.gateway}/metrics", timeout=5) as answer:
            self.assertEqual(answer.status, 200)
        self.down()

    def is_open(self, s: socket.socket) -> bool:
        """The gateway's end, as the kernel lists it: reading here would be what this client does not do."""
        mine, theirs = s.getsockname()[1], self.toy.gateway
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            local, remote, state = line.split()[1:4]
            if int(local.split(":")[1], 16) == theirs and int(remote.split(":")[1], 16) == mine and state == "01":
                return True
        return False


if __name__ == "__main__":
    ToyTest.virga = sys.argv.pop(1)
    unittest.main(verbosity=2)
