"""The container files, as far as a machine without Docker and Kubernetes goes: what they say of nodes, ports, files and paths is
what the manifest says, and the manifest's nodes run as the image's entry point starts them. usage: containers_test.py VIRGA
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

try:
    import yaml
except ImportError:  # `make test` installs one in a Python of its own
    python = os.environ.get("VIRGA_TEST_PYTHON", sys.executable)
    if python == sys.executable:
        raise
    os.execv(python, [python, "-B", *sys.argv])

from toy import SOURCE, free_port, wait_until

VIRGA = ""
CONTAINERS = SOURCE / "deploy/containers"


def manifest() -> dict:
    return yaml.safe_load((CONTAINERS / "virga.yaml").read_text())


class Containers(unittest.TestCase):
    def test_compose_runs_each_node_with_its_own_key_and_no_other(self):
        services = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())["services"]
        for node in manifest()["nodes"]:
            service = services[node["name"]]
            self.assertEqual(service["command"], [node["name"]])
            mounts = dict(v.split(":")[:2] for v in service["volumes"])
            self.assertIn("./virga.yaml", mounts)
            self.assertEqual([m for m in mounts if m.endswith(".key")], [f"./certs/{node['name']}.key"])
            self.assertIn(f":{node['gateway']['port']}/health/ready", service["healthcheck"]["test"][-1])
        if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
            subprocess.run(["docker", "compose", "-f", CONTAINERS / "compose.yaml", "config", "--quiet"], check=True)

    def test_kubernetes_has_the_manifest_s_nodes_and_ports(self):
        file = (SOURCE / "deploy/kubernetes/virga.yaml").read_text()
        parts = {(p["kind"], p["metadata"]["name"]): p["spec"] for p in yaml.safe_load_all(file)}
        for node in manifest()["nodes"]:
            ports = {node["gateway"]["port"]} | ({node["listen"]["port"]} if "listen" in node else set())
            service, deployment = parts["Service", node["name"]], parts["Deployment", node["name"]]
            self.assertEqual({p["port"] for p in service["ports"]}, ports)
            pod = deployment["template"]
            self.assertEqual(service["selector"], pod["metadata"]["labels"])
            self.assertEqual(deployment["selector"]["matchLabels"], pod["metadata"]["labels"])
            container = pod["spec"]["containers"][0]
            self.assertEqual(container["args"], [node["name"]])
            self.assertEqual({p["containerPort"] for p in container["ports"]}, ports)
            volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
            self.assertEqual({m["name"] for m in container["volumeMounts"]}, set(volumes))
            self.assertEqual(volumes["certs"]["secret"], {"secretName": "virga-" + node["name"], "defaultMode": 0o400})
        for link in manifest()["links"]:
            self.assertIn(("Service", link["host"]), parts)

    def test_the_image_s_entry_point_starts_the_nodes(self):
        docker = (CONTAINERS / "Dockerfile").read_text()
        entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", docker, re.M)[1])
        self.assertEqual(entry[0], "/usr/bin/virga")
        with tempfile.TemporaryDirectory(prefix="virga-test-") as folder:
            root = pathlib.Path(folder)
            text = (CONTAINERS / "virga.yaml").read_text().replace("/usr/share/virga", str(SOURCE)).replace("host: cloud-1}", "host: 127.0.0.1}")
            ports = {port: free_port() for port in ("7070", "8080", "8090")}
            text = re.sub(r"port: (\d+)", lambda m: f"port: {ports[m[1]]}", text)
            (root / "virga.yaml").write_text(text)
            (root / "keys").mkdir()
            (root / "keys/api-keys").write_text("sk-of-a-test\n")
            (root / "keys/api-keys").chmod(0o600)
            environment = {"HOME": folder, "XDG_RUNTIME_DIR": folder, "XDG_STATE_HOME": folder}
            subprocess.run([VIRGA, "certs", "virga.yaml", "--out", "certs"], cwd=root, env=environment, check=True, capture_output=True)
            command = [VIRGA, *entry[1:]]
            command[command.index("/etc/virga/virga.yaml")] = str(root / "virga.yaml")
            nodes = [subprocess.Popen([*command, name], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                     for name in ("cloud-1", "edge-1")]
            try:
                url = f"http://127.0.0.1:{ports['8080']}/v1/models"
                self.assertTrue(wait_until(lambda: "virga/split" in get(url, "sk-of-a-test")), "both nodes serve")
                self.assertEqual(get(url, "sk-of-another"), "401")
            finally:
                for n in nodes:
                    n.terminate()
                codes = [n.wait(timeout=20) for n in nodes]
            self.assertEqual(codes, [0, 0])


def get(url: str, key: str) -> str:
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "Bearer " + key}), timeout=2).read().decode()
    except urllib.error.HTTPError as e:
        return str(e.code)
    except OSError:
        return ""


if __name__ == "__main__":
    VIRGA = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
