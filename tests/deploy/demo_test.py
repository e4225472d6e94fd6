"""`virga demo` with the shipped models, at ports of its own. usage: demo_test.py VIRGA

200 questions, each asked with cloud, edge and split of running processes: split's text is cloud's, and the report says
enough to check that again.
"""
import hashlib
import json
import re
import sys
import tempfile
import unittest

from browser import BROWSER, Browser
from toy import SLOW, SOURCE, Toy, free_port

VIRGA = ""


class Demo(unittest.TestCase):
    @unittest.skipIf(SLOW > 1, "one of its promises is a time")
    def test_the_demonstration_keeps_its_promises_and_its_report_proves_it(self):
        with tempfile.TemporaryDirectory(prefix="virga-test-") as folder:
            toy = Toy(VIRGA, folder)
            demo = (SOURCE / "deploy/manifests/demo.yaml").read_text().replace("../../models", str(SOURCE / "models"))
            (toy.folder / "demo.yaml").write_text(re.sub(r"port: \d+", lambda _: f"port: {free_port()}", demo))
            result = toy.run("demo", "--manifest", "demo.yaml", "--out", "out")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertEqual(toy.leftovers(), [])
            report = json.loads((toy.folder / "out/report.json").read_text())
            self.check(report)
            if BROWSER:
                self.check_page(Browser(folder), toy.folder / "out/report.html", report)

    def check_page(self, browser, file, report):
        shown, charts = browser.page(file.as_uri())
        self.assertEqual(charts, 4)
        for promise in report["promises"]:
            self.assertIn(promise["text"], shown)
        self.assertEqual(shown.count(">holds<"), len(report["promises"]))
        for text in report["texts"][:10]:
            self.assertIn(text["text"], shown)
        self.assertGreater(browser.picture(file.as_uri())[2], 100)

    def check(self, report):
        self.assertTrue(report["identical_split_cloud"])
        self.assertTrue(report["identical_hat_cloud"])
        rows = {s["name"]: s for s in report["strategies"]}
        self.assertEqual(list(rows), ["cloud", "edge", "split", "hat"])
        for row in rows.values():
            self.assertGreaterEqual(row["questions"], 200)
            for key in ("exact", "ttft_ms", "tbt_ms", "tokens_per_s", "bytes_up_per_token", "bytes_down_per_token"):
                self.assertGreaterEqual(row[key], 0)
        self.assertGreaterEqual(rows["cloud"]["exact"], 0.95)
        self.assertLess(rows["edge"]["exact_high"], rows["cloud"]["exact_low"])
        self.assertGreaterEqual(rows["hat"]["tokens_per_round_trip"], 2)
        self.assertEqual(rows["edge"]["bytes_up_per_token"], 0, "what is answered at the edge stays there")
        texts = {}
        for t in report["texts"]:
            self.assertEqual(hashlib.sha256(t["text"].encode()).hexdigest(), t["sha256"])
            texts[t["strategy"], t["question"]] = t
        self.assertGreaterEqual(sum(t["tokens"] >= 40 for (s, _), t in texts.items() if s == "split"), 50)
        for (strategy, question), t in texts.items():
            if strategy in ("split", "hat"):
                self.assertEqual(t["sha256"], texts["cloud", question]["sha256"], t["prompt"])


if __name__ == "__main__":
    VIRGA = sys.argv.pop(1)
    unittest.main(verbosity=2)
