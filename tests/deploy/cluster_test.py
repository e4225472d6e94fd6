"""A cloud of several nodes, joined by CAF's middleman. usage: cluster_test.py VIRGA [TEST...]"""
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import time
import unittest

from toy import CLUSTER, SLOW, ToyTest, free_port, wait_until

NODES = ("front", "replica-1", "replica-2", "stage-1", "stage-2")


class Cluster(ToyTest):
    def setUp(self):
        super().setUp()
        self.ports = {name: free_port() for name in NODES}
        self.toy.write_manifest(of=CLUSTER, **self.ports)

    def text(self, strategy: str, max_tokens: int = 12, **options) -> str:
        code, answer = self.toy.ask(strategy, max_tokens, **options)
        self.assertEqual(code, 200, answer)
        return answer["choices"][0]["text"]

    def neighbours(self) -> dict:
        return {n["node"]: n["up"] for n in self.toy.node("front")["status"]["neighbours"]}

    def strike_under_load(self, strategy: str, strike, requests: int = 24, refused: tuple = ()) -> None:
        """Four clients ask; `strike` falls when a third is under way. Each gets the undisturbed text, or one of these refusals."""
        right = [self.text(strategy, 60, prompt=f"w{4 + i} w5 w6") for i in range(8)]

        def one(i):
            if i == requests // 3:
                strike()
            code, answer = self.toy.ask(strategy, 60, prompt=f"w{4 + i % 8} w5 w6")
            return i % 8, code, answer["choices"][0]["text"] if code == 200 else answer["error"]["code"]

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for i, code, said in pool.map(one, range(requests)):
                if code == 200 or said not in refused:
                    self.assertEqual((code, said), (200, right[i]))

    def test_every_strategy_and_both_gateways_give_one_text(self):
        self.up()
        text = self.text("cloud")
        self.assertGreater(len(text.split()), 5)
        self.assertEqual(self.text("split"), text)
        self.assertEqual(self.text("cloud", port=self.ports["front"]), text)
        self.assertEqual(self.neighbours(), {name: True for name in NODES[1:]})
        places = self.toy.ask("cloud")[1]["virga"]["places"]
        self.assertTrue(places[0]["node"].startswith("replica-"))
        self.assertIn("replica-1", self.ok("status").stdout)
        self.down()

    def test_a_killed_replica_costs_nobody_an_answer_and_is_taken_back(self):
        self.up()
        killed = []

        def kill():
            killed.append(self.toy.pid("replica-1"))
            os.kill(killed[0], signal.SIGKILL)
        self.strike_under_load("cloud", kill)
        self.assertTrue(wait_until(lambda: self.neighbours()["replica-1"], 10))
        self.assertNotEqual(self.toy.pid("replica-1"), killed[0])
        self.assertIn("without replica-1", self.toy.log("front"))

        def used():
            return self.toy.ask("cloud")[1]["virga"]["places"][0]["node"] == "replica-1"
        self.assertTrue(wait_until(used, 10), "the restarted replica answers again")
        self.down()

    def test_a_frozen_replica_is_noticed_and_its_work_moved(self):
        self.up()
        frozen = self.toy.pid("replica-2")
        begun = time.monotonic()
        try:
            self.strike_under_load("cloud", lambda: os.kill(frozen, signal.SIGSTOP), requests=12)
            self.assertLess(time.monotonic() - begun, 20)
            self.assertFalse(self.neighbours()["replica-2"])
        finally:
            os.kill(frozen, signal.SIGCONT)
        self.assertTrue(wait_until(lambda: self.neighbours()["replica-2"], 15))
        self.down()

    @unittest.skipIf(SLOW > 1, "a restart takes longer than a session has patience")
    def test_a_killed_stage_is_restarted_and_every_answer_comes(self):
        self.up()
        self.strike_under_load("split", lambda: os.kill(self.toy.pid("stage-2"), signal.SIGKILL), requests=12)
        self.down()

    def test_a_replica_that_is_told_to_end_finishes_what_it_has(self):
        self.up()
        self.strike_under_load("cloud", lambda: os.kill(self.toy.pid("replica-1"), signal.SIGTERM))
        self.down()

    def test_a_killed_front_is_found_again(self):
        self.up()
        self.strike_under_load("cloud", lambda: os.kill(self.toy.pid("front"), signal.SIGKILL), refused=("peer_unreachable",))
        self.assertTrue(wait_until(lambda: self.toy.ask("cloud")[0] == 200 and all(self.neighbours().values()), 10))
        self.down()

    def test_who_has_no_certificate_of_the_site_is_not_let_in(self):
        self.up()
        text = self.text("cloud")
        port = self.ports["replica-1"]
        pid = self.toy.pid("replica-1")
        for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 5000, b"\x16\x03\x01\xff\xff" + b"x" * 999, b""):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(rubbish)
        certs = self.toy.folder / f"run/virga-{os.getuid()}/toy/certs"
        self.assertTrue((certs / "sites/cloud/ca.pem").exists(), list(certs.iterdir()))
        self.assertFalse((certs / "sites/edge-1").exists(), "a site of one node needs none")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(certs / "edge-1.pem", certs / "edge-1.key")  # of the links' CA: another one
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=5)) as s:
                s.sendall(b"x" * 100)
                if not s.recv(1):
                    raise ConnectionError("hung up")
        self.assertEqual(self.toy.pid("replica-1"), pid)
        self.assertEqual(self.text("cloud"), text)
        self.down()

    def test_a_node_whose_certificate_is_of_another_site_stays_outside(self):
        certs = self.toy.folder / "certs"
        self.toy.write_manifest(lambda t: t.replace("deployment: toy", "deployment: toy\nsecurity: {certs: certs}"), CLUSTER, **self.ports)
        self.ok("certs", "toy.yaml", "--out", str(certs))
        foreign = self.toy.folder / "foreign"
        self.ok("certs", "toy.yaml", "--out", str(foreign))
        for ending in (".pem", ".key"):
            shutil.copy(foreign / f"sites/cloud/replica-2{ending}", certs / f"sites/cloud/replica-2{ending}")
        result = self.toy.run("up", "toy.yaml", "--timeout", str(6 * SLOW))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("replica-2", result.stdout + result.stderr)
        self.assertIn("certificates of this site", result.stdout + result.stderr + self.toy.log("front"))
        self.assertEqual(self.toy.processes(), {}, "nothing is left half started")

    def test_bench_faults_counts_what_a_killed_replica_costs(self):
        out = self.ok("bench", "faults", "--manifest", "toy.yaml", "--requests", "80", "--clients", "4", "--only", "replica", "--json")
        rows = json.loads(out.stdout)["rows"]
        self.assertEqual([(r["victim"], r["spare"], r["strategy"]) for r in rows], [("replica-1", True, "cloud")])
        counted = {key: rows[0][key] for key in ("ok", "declared_fallback", "error", "wrong", "unresolved")}
        self.assertEqual(counted, {"ok": 80, "declared_fallback": 0, "error": 0, "wrong": 0, "unresolved": 0})
        self.assertEqual(self.toy.leftovers(), [])

    def test_a_site_port_in_use_starts_nothing(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", self.ports["stage-1"]))
            s.listen()
            result = self.toy.run("up", "toy.yaml")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"site port {self.ports['stage-1']} of 127.0.0.1 cannot be opened", result.stdout + result.stderr)
        self.assertEqual(self.toy.processes(), {})


if __name__ == "__main__":
    ToyTest.virga = sys.argv.pop(1)
    unittest.main(verbosity=2)
