"""A deployment for tests: a tiny random model with a word for each of its tokens, in folders and ports of its own."""
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SLOW = int(os.environ.get("VIRGA_TEST_SLOW", "1"))  # how many times slower than usual everything is: under sanitizers

MANIFEST = """\
virga: 1
deployment: toy
supervision: {{max_restarts: 3, within_s: 30, drain_s: 8}}
nodes:
  - name: cloud-1
    site: cloud
    kind: cloud
    listen: {{port: {listen}}}
    engines:
      - {{name: whole, model: model}}
      - {{name: middle, model: model, stages: "1-2"}}
    roles:
      - {{role: generator, engine: whole}}
      - {{role: verifier, engine: middle}}
  - name: edge-1
    kind: edge
    gateway: {{port: {gateway}}}
    engines:
      - {{name: small, model: model}}
      - {{name: device, model: model, stages: "embedding,0-0,head"}}
      - {{name: skip, model: model, stages: "embedding,0-0,2-2,head"}}  # drafts with the model but its second layer
    roles:
      - {{role: generator, engine: small}}
      - {{role: drafter, engine: device}}
      - {{role: drafter, engine: skip, serves: hat, draft: {{split: 1, unsure_below: 0}}}}
links:
  - {{from: edge-1, to: cloud-1, rtt_ms: 10}}
"""


# A front without engines: two replicas of the whole model behind it, and its middle layers cut over two more nodes.
CLUSTER = """\
virga: 1
deployment: toy
supervision: {{max_restarts: 9, within_s: 30, drain_s: 8}}
nodes:
  - name: front
    site: cloud
    kind: cloud
    listen: {{port: {listen}}}
    gateway: {{port: {front}}}
    roles:
      - {{role: generator, replicas: [replica-1, replica-2]}}
      - {{role: verifier, pipeline: [stage-1, stage-2]}}
  - name: replica-1
    site: cloud
    kind: cloud
    site_listen: {{port: {replica-1}}}
    engines: [{{name: whole, model: model}}]
    roles: [{{role: generator, engine: whole}}]
  - name: replica-2
    site: cloud
    kind: cloud
    site_listen: {{port: {replica-2}}}
    engines: [{{name: whole, model: model}}]
    roles: [{{role: generator, engine: whole}}]
  - name: stage-1
    site: cloud
    kind: cloud
    site_listen: {{port: {stage-1}}}
    engines: [{{name: middle, model: model, stages: "1-1"}}]
    roles: [{{role: verifier, engine: middle}}]
  - name: stage-2
    site: cloud
    kind: cloud
    site_listen: {{port: {stage-2}}}
    engines: [{{name: middle, model: model, stages: "2-2"}}]
    roles: [{{role: verifier, engine: middle}}]
  - name: edge-1
    kind: edge
    gateway: {{port: {gateway}}}
    engines:
      - {{name: small, model: model}}
      - {{name: device, model: model, stages: "embedding,0-0,head"}}
    roles:
      - {{role: generator, engine: small}}
      - {{role: drafter, engine: device}}
links:
  - {{from: edge-1, to: front, rtt_ms: 10}}
"""


def write_model(folder: pathlib.Path) -> None:
    fixtures = SOURCE / "tests/parity/fixtures"
    shutil.copytree(fixtures / "mha-tied", folder)
    tokenizer = json.loads((fixtures / "tokenizer/tokenizer.json").read_text())
    tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["id"] < 3]
    tokenizer["model"]["vocab"] = {"<unk>": 0, "<bos>": 1, "<eos>": 2, **{f"w{i}": i for i in range(3, 96)}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    template = {"bos_token": "<bos>", "chat_template": "{{ bos_token }}{{ messages[-1]['content'] }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(template))
    config = folder / "generation_config.json"
    config.write_text(json.dumps({"eos_token_id": 2, "bos_token_id": 1}))


given = set()


def free_port() -> int:
    """Each call another one, below those that outgoing connections take: a link of another test may not have it by the time."""
    while True:
        port = random.randrange(20000, 32000)
        if port not in given and is_free(port):
            given.add(port)
            return port


def is_free(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Toy:
    """The folder of one deployment, and the virga command run inside it."""

    def __init__(self, virga: str, folder: str):
        self.virga = os.path.abspath(virga)
        self.folder = pathlib.Path(folder)
        self.listen, self.gateway = free_port(), free_port()
        write_model(self.folder / "model")
        self.write_manifest()
        (self.folder / "run").mkdir()
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder / "run"), "XDG_STATE_HOME": str(self.folder / "state")}

    def write_manifest(self, change=lambda text: text, of=MANIFEST, **ports) -> None:
        text = of.format(listen=self.listen, gateway=self.gateway, **ports)
        (self.folder / "toy.yaml").write_text(change(text))

    def ask(self, strategy: str, max_tokens: int = 8, prompt: str = "w4 w5 w6", port: int = 0) -> tuple:
        """Status and answer; the status is 0 when there was no HTTP answer."""
        body = json.dumps({"model": "virga/" + strategy, "prompt": prompt, "max_tokens": max_tokens}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.gateway}/v1/completions", body,
                                         {"Content-Type": "application/json"})
        try:
            return 200, json.load(urllib.request.urlopen(request, timeout=60))
        except urllib.error.HTTPError as e:
            return e.code, json.load(e)
        except (OSError, ValueError):
            return 0, {}

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run([self.virga, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True,
                              timeout=120, **options)

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen([self.virga, *arguments], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def status(self) -> dict:
        return json.loads(self.run("status", "--json").stdout)

    def node(self, name: str) -> dict:
        return next(n for n in self.status()["nodes"] if n["name"] == name)

    def log(self, name: str) -> str:
        file = self.folder / "state/virga/toy" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def processes(self) -> dict:
        """pid -> "keeper" or the node's name, of this deployment only."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_text().split("\0")
            except (OSError, UnicodeDecodeError):
                continue
            if entry.name.isdigit() and len(words) > 2 and words[1] in ("keeper", "node") and str(self.folder / "run") in " ".join(words):
                found[int(entry.name)] = words[words.index("--name") + 1] if words[1] == "node" else "keeper"
        return found

    def pid(self, name: str) -> int:
        return next(pid for pid, who in self.processes().items() if who == name)

    def leftovers(self) -> list:
        """What a stopped deployment must not leave: processes, files, ports."""
        files = [str(p) for p in (self.folder / "run").rglob("*")]
        ports = [p for p in (self.listen, self.gateway) if not is_free(p)]
        return [*self.processes().items(), *files, *ports]

    def end(self) -> None:
        for pid in self.processes():
            os.kill(pid, 9)


class ToyTest(unittest.TestCase):
    """Each test has a deployment of its own, gone with it. The file's last lines give `virga`."""

    virga = ""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="virga-test-")
        self.toy = Toy(self.virga, self.folder.name)

    def tearDown(self):
        self.toy.end()
        self.folder.cleanup()

    def ok(self, *arguments, **options) -> subprocess.CompletedProcess:
        result = self.toy.run(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result

    def up(self):
        return self.ok("up", "toy.yaml")

    def down(self):
        result = self.ok("down")
        self.assertEqual(self.toy.leftovers(), [])
        return result


def wait_until(condition, limit_s: float = 20.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
