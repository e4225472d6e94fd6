"""What reaches a node's ports and process beside its peers: strangers, exhaustion, signals. usage: hostile_test.py VIRGA [TEST...]"""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "deploy"))
from toy import ToyTest, wait_until  # noqa: E402


def resident_mb(pid: int) -> float:
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


class Hostile(ToyTest):
    def ask(self, strategy: str, max_tokens: int = 8) -> tuple:
        """Status and text, or what was wrong."""
        code, answer = self.toy.ask(strategy, max_tokens)
        return code, answer["choices"][0]["text"] if code == 200 else answer.get("error", {}).get("message", "")

    def all_answer(self) -> bool:
        return all(self.ask(s)[0] == 200 for s in ("cloud", "edge", "split"))

    def test_strangers_at_its_ports_cost_a_node_nothing(self):
        self.up()
        pids = {name: self.toy.pid(name) for name in ("cloud-1", "edge-1")}
        text = self.ask("split")[1]
        rng = random.Random(1)
        words = [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + rng.randbytes(500), rng.randbytes(4000), b"\0" * 70_000, b""]
        before = {name: resident_mb(pid) for name, pid in pids.items()}
        for i in range(300):
            for port in (self.toy.listen, self.toy.gateway):
                with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                    try:
                        s.sendall(rng.choice(words))
                    except OSError:
                        pass  # it has hung up already
            if i % 100 == 0:
                self.assertEqual(self.ask("split"), (200, text))
        self.assertEqual(self.ask("split"), (200, text))
        self.assertEqual({name: self.toy.pid(name) for name in pids}, pids, "nobody was restarted")
        for name, pid in pids.items():
            self.assertLess(resident_mb(pid) - before[name], 50, name)
        peers = self.toy.node("edge-1")["status"]["peers"]
        self.assertEqual([p["link"]["connections"] for p in peers], [1], "the link was not touched")
        self.down()

    def test_a_node_without_free_descriptors_recovers(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (96, limits[1]))  # inherited by what `up` starts
        try:
            self.up()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
        pid = self.toy.pid("edge-1")
        held = []
        for _ in range(150):
            try:
                held.append(socket.create_connection(("127.0.0.1", self.toy.gateway), timeout=2))
            except OSError:
                break
        time.sleep(0.5)
        for s in held:
            s.close()
        self.assertTrue(wait_until(self.all_answer), self.toy.status())
        self.assertEqual(self.toy.pid("edge-1"), pid)
        self.down()

    def why_alone(self, cloud_certs: str, cloud_text=lambda text: text) -> str:
        """Runs the cloud with these certificates or that manifest; @returns what the edge says of its link after a while."""
        manifest = (self.toy.folder / "toy.yaml").read_text()
        (self.toy.folder / "cloud.yaml").write_text(cloud_text(manifest.replace("certs: certs", "certs: " + cloud_certs)))
        nodes = [self.toy.start("node", "--manifest", "cloud.yaml", "--name", "cloud-1"),
                 self.toy.start("node", "--manifest", "toy.yaml", "--name", "edge-1")]
        url = f"http://127.0.0.1:{self.toy.gateway}/status"

        def peer():
            try:
                return json.load(urllib.request.urlopen(url, timeout=2))["peers"][0]
            except (OSError, IndexError):  # not there yet
                return {"up": False, "reason": ""}

        try:
            self.assertTrue(wait_until(lambda: peer()["up"] or peer()["reason"] not in ("", "not connected yet"), 10), peer())
            time.sleep(0.5)
            now = peer()
            self.assertEqual(self.ask("edge")[0], 200)
            self.assertEqual(self.ask("split")[0], 200 if now["up"] else 503)
            return "up" if now["up"] else now["reason"]
        finally:
            for n in nodes:
                n.terminate()
            output = [n.communicate(timeout=20)[0] for n in nodes]
            self.assertEqual([n.returncode for n in nodes], [0, 0], output)

    def test_a_cloud_that_cannot_prove_its_name_or_has_another_model_is_refused_with_a_sentence(self):
        self.toy.write_manifest(lambda text: text + "security: {certs: certs}\n")
        for folder in ("certs", "foreign", "expired", "stolen"):
            self.assertEqual(self.toy.run("certs", "toy.yaml", "--out", folder).returncode, 0)
        root = self.toy.folder
        for folder in ("expired", "stolen"):
            for name in ("ca.pem", "ca.key", "cloud-1.pem", "cloud-1.key"):
                shutil.copy(root / "certs" / name, root / folder / name)
        request = subprocess.run(["openssl", "x509", "-in", "certs/cloud-1.pem", "-signkey", "certs/cloud-1.key", "-x509toreq"],
                                 cwd=root, capture_output=True, check=True).stdout
        extensions = root / "names.cnf"
        extensions.write_text("subjectAltName=DNS:cloud-1,DNS:cloud.site.virga\n")
        subprocess.run(["openssl", "x509", "-req", "-CA", "certs/ca.pem", "-CAkey", "certs/ca.key", "-days", "-1", "-extfile", extensions,
                        "-out", "expired/cloud-1.pem"], cwd=root, input=request, capture_output=True, check=True)
        for name in ("pem", "key"):  # what belongs to the edge, as if it were the cloud's
            shutil.copy(root / f"certs/edge-1.{name}", root / f"stolen/cloud-1.{name}")
        self.assertEqual(self.why_alone("certs"), "up")
        refused = "the TLS handshake failed: certificate verify failed: "
        for folder, why in (("foreign", refused), ("expired", refused + "certificate has expired"),
                            ("stolen", "its certificate is for edge-1, edge-1.site.virga, the manifest expects cloud-1 of site cloud")):
            self.assertIn(why, self.why_alone(folder))
        other = root / "other"
        shutil.copytree(root / "model", other)
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps({**config, "rope_theta": 20000.0}))
        said = self.why_alone("certs", lambda text: text.replace("model: model, stages", "model: other, stages"))
        self.assertRegex(said, "cloud-1 has the model [0-9a-f]{64}, this side has [0-9a-f]{64}")

    def test_a_cloud_that_is_killed_while_it_comes_back_comes_back(self):
        self.up()
        text = self.ask("split")[1]
        for _ in range(2):
            old = self.toy.pid("cloud-1")
            os.kill(old, signal.SIGKILL)
            again = lambda: any(who == "cloud-1" and pid != old for pid, who in self.toy.processes().items())
            self.assertTrue(wait_until(again))
        self.assertEqual(self.ask("edge")[0], 200)
        self.assertTrue(wait_until(self.all_answer), self.toy.status())
        self.assertEqual(self.ask("split"), (200, text))
        self.down()

    def test_a_node_that_is_stopped_and_goes_on_is_taken_back(self):
        self.up()
        edge = self.toy.pid("edge-1")
        text = self.ask("split")[1]
        os.kill(self.toy.pid("cloud-1"), signal.SIGSTOP)
        started = time.monotonic()
        status, sentence = self.ask("split")
        self.assertEqual(status, 503, sentence)
        self.assertLess(time.monotonic() - started, 8)
        self.assertEqual(self.ask("edge")[0], 200)
        os.kill(self.toy.pid("cloud-1"), signal.SIGCONT)
        self.assertTrue(wait_until(self.all_answer), self.toy.status())
        self.assertEqual(self.ask("split"), (200, text))
        self.assertEqual(self.toy.pid("edge-1"), edge)
        self.down()


if __name__ == "__main__":
    ToyTest.virga = sys.argv.pop(1)
    unittest.main(verbosity=2)
