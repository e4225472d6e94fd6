"""The page at `/` in a real browser, headless. usage: page_test.py VIRGA [TEST...]"""
import html
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import urllib.request
import zlib

from toy import Toy, wait_until

VIRGA = ""
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def pixels(png: bytes) -> tuple:
    """Width, height and the number of different bytes of an image without interlace."""
    width, height = struct.unpack(">II", png[16:24])
    data, at = b"", 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        data += png[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    return width, height, len(set(zlib.decompress(data)))


class Page(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="virga-test-")
        self.toy = Toy(VIRGA, self.folder.name)

    def tearDown(self):
        self.toy.end()
        self.folder.cleanup()

    def browse(self, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run([BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               "--no-first-run", f"--user-data-dir={self.folder.name}/browser", "--window-size=1200,1500",
                               "--virtual-time-budget=6000", *options, f"http://127.0.0.1:{self.toy.gateway}/"],
                              capture_output=True, timeout=90)

    def ask(self, strategy: str, name: str):
        body = json.dumps({"model": "virga/" + strategy, "messages": [{"role": "user", "content": "w4 w5"}], "max_tokens": 8})
        request = urllib.request.Request(f"http://127.0.0.1:{self.toy.gateway}/v1/chat/completions", body.encode(),
                                         {"Content-Type": "application/json", "X-Request-Id": name})
        urllib.request.urlopen(request, timeout=20).read()

    @unittest.skipUnless(BROWSER, "no chromium: `make test` installs one")
    def test_a_browser_shows_what_runs(self):
        self.assertEqual(self.toy.run("up", "toy.yaml").returncode, 0)
        self.assertTrue(wait_until(lambda: self.toy.status()["complete"]))
        self.ask("split", "first-of-the-page")
        self.ask("edge", "second-of-the-page")
        page = self.browse("--dump-dom").stdout.decode()
        shown = html.unescape(re.sub(r"<script>.*?</script>", "", page, flags=re.S))
        for text in ("edge-1", "cloud-1", "ready", "serves cloud, edge, split", "engine small", "session host",
                     "first-of-the-page", "second-of-the-page", "layers 1-2", "A role that crashes more than 3 times"):
            self.assertIn(text, shown)
        self.assertIsNotNone(re.search(r"<canvas[^>]*width=\"?[1-9]", page), "the charts are drawn")
        self.assertNotRegex(shown, r'class="bad"', "nothing is shown as broken")
        self.browse(f"--screenshot={self.folder.name}/page.png")
        width, height, different = pixels((self.toy.folder / "page.png").read_bytes())
        self.assertEqual((width, height), (1200, 1500))
        self.assertGreater(different, 100, "the picture is not empty")
        self.assertEqual(self.toy.run("down").returncode, 0)


if __name__ == "__main__":
    VIRGA = sys.argv.pop(1)
    unittest.main(verbosity=2)
