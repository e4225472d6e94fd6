"""deploy/manifest.schema.json says what the reader of manifests takes. usage: schema_test.py VIRGA"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
    import yaml
except ImportError:  # `make test` installs them in a Python of its own
    python = os.environ.get("VIRGA_TEST_PYTHON", sys.executable)
    if python == sys.executable:
        raise
    os.execv(python, [python, "-B", *sys.argv])

from toy import MANIFEST, SOURCE

VIRGA = ""
SCHEMA = json.loads((SOURCE / "deploy/manifest.schema.json").read_text())
# A mapping that begins with an unknown key, by what the reader calls it, and where the schema has it.
PLACES = {
    "the manifest": ("virga: 1", "unknown: 1\nvirga: 1", []),
    "security": ("nodes:", "security: {unknown: 1}\nnodes:", ["security"]),
    "supervision": ("supervision: {", "supervision: {unknown: 1, ", ["supervision"]),
    "limits": ("nodes:", "limits: {unknown: 1}\nnodes:", ["limits"]),
    "node": ("- name: cloud-1", "- unknown: 1\n    name: cloud-1", ["nodes"]),
    "listen": ("listen: {", "listen: {unknown: 1, ", ["nodes", "listen"]),
    "site_listen": ("    listen: {", "    site_listen: {unknown: 1, port: 1}\n    listen: {", ["nodes", "site_listen"]),
    "gateway": ("gateway: {", "gateway: {unknown: 1, ", ["nodes", "gateway"]),
    "engine": ("{name: whole", "{unknown: 1, name: whole", ["nodes", "engines"]),
    "role": ("{role: generator", "{unknown: 1, role: generator", ["nodes", "roles"]),
    "draft": ("{role: drafter, ", "{role: drafter, draft: {unknown: 1}, ", ["nodes", "roles", "draft"]),
    "verify": ("{role: verifier, ", "{role: verifier, verify: {unknown: 1}, ", ["nodes", "roles", "verify"]),
    "link": ("{from: ", "{unknown: 1, from: ", ["links"]),
}


def part(path: list) -> dict:
    schema = SCHEMA
    for key in path:
        schema = schema["properties"][key]
        schema = schema.get("items", schema)
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].split("/")[-1]]
    return schema


class Schema(unittest.TestCase):
    def setUp(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        self.validator = jsonschema.Draft202012Validator(SCHEMA)
        self.text = MANIFEST.format(listen=7070, gateway=8080)

    def complaint(self, text: str) -> str:
        with tempfile.TemporaryDirectory(prefix="virga-test-") as folder:
            file = pathlib.Path(folder) / "toy.yaml"
            file.write_text(text)
            return subprocess.run([VIRGA, "validate", file], capture_output=True, text=True).stderr

    def test_shipped_manifests_fit(self):
        files = [*(SOURCE / "deploy/manifests").glob("*.yaml"), SOURCE / "deploy/containers/virga.yaml"]
        self.assertGreaterEqual(len(files), 4)
        for file in files:
            self.validator.validate(yaml.safe_load(file.read_text()))
        self.validator.validate(yaml.safe_load(self.text))

    def test_it_has_the_keys_that_the_reader_has(self):
        for name, (old, new, path) in PLACES.items():
            text = self.text.replace(old, new, 1)
            self.assertNotEqual(text, self.text, name)
            known = re.search(rf"unknown key `unknown` in {name}; known are: ([a-z_, ]+)", self.complaint(text))
            self.assertIsNotNone(known, name)
            self.assertEqual(set(known[1].split(", ")), set(part(path)["properties"]), name)
            self.assertFalse(self.validator.is_valid(yaml.safe_load(text)), name)

    def test_it_has_the_bounds_that_the_reader_has(self):
        for name, (old, new, path) in PLACES.items():
            bounds = {key: value for key, value in part(path)["properties"].items() if value.get("type") in ("integer", "number")
                      and not re.search(rf"\b{key}: ", self.text[self.text.index(old):].split("\n")[0])}
            for bad in ({key: value["minimum"] - 1 for key, value in bounds.items()},
                        {key: value["maximum"] + 1 for key, value in bounds.items()}):
                wrong = ", ".join(f"{key}: {value}" for key, value in bad.items()) or "unknown: 1"
                said = self.complaint(self.text.replace(old, new.replace("unknown: 1", wrong), 1))
                for key, value in bad.items():
                    self.assertRegex(said, rf"`{key}` of {name} is `{value}`: give a (whole )?number from "
                                           rf"{bounds[key]['minimum']} to {bounds[key]['maximum']}")

    def test_it_refuses_what_the_reader_refuses(self):
        for old, new in (("virga: 1", "virga: 2"), ("kind: edge", "kind: fog"), ("role: drafter", "role: sketcher"),
                         ("name: edge-1", "name: ../x"), ("    kind: edge\n", ""), ("rtt_ms: 10", "rtt_ms: -1")):
            text = self.text.replace(old, new, 1)
            self.assertNotEqual(text, self.text, new)
            self.assertFalse(self.validator.is_valid(yaml.safe_load(text)), new)
            self.assertNotEqual(self.complaint(text), "", new)


if __name__ == "__main__":
    VIRGA = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
