"""The page at `/` in a real browser. usage: page_test.py VIRGA [TEST...]"""
import json
import sys
import unittest
import urllib.request

from browser import BROWSER, Browser
from toy import ToyTest, wait_until


class Page(ToyTest):
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
        url = f"http://127.0.0.1:{self.toy.gateway}/"
        browser = Browser(self.folder.name)
        shown, charts = browser.page(url)
        for text in ("edge-1", "cloud-1", "ready", "serves cloud, edge, split", "engine small", "session host",
                     "first-of-the-page", "second-of-the-page", "layers 1-2", "A role that crashes more than 3 times"):
            self.assertIn(text, shown)
        self.assertNotRegex(shown, r'class="bad"', "nothing is shown as broken")
        self.assertEqual(charts, 4)
        width, height, different = browser.picture(url)
        self.assertEqual((width, height), (1200, 1500))
        self.assertGreater(different, 100, "the picture is not empty")
        self.assertEqual(self.toy.run("down").returncode, 0)


if __name__ == "__main__":
    ToyTest.virga = sys.argv.pop(1)
    unittest.main(verbosity=2)
