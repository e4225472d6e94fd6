"""examples/*.sh against a deployment of their own. usage: example_test.py VIRGA"""
import subprocess
import sys
import tempfile
import unittest

from toy import SOURCE, Toy

VIRGA = ""


class Example(unittest.TestCase):
    def test_the_first_workflow_script_asks_compares_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory(prefix="virga-test-") as folder:
            toy = Toy(VIRGA, folder)
            environment = {**toy.environment, "VIRGA": toy.virga, "MANIFEST": str(toy.folder / "toy.yaml")}
            result = subprocess.run([SOURCE / "examples/compare.sh", "w4 w5"], env=environment, capture_output=True, text=True, timeout=120)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            for part in ("cloud: w", "edge: w", "split: w", "cloud-1 ran layers 1-2", "edge-1 ran embedding, layers 0-0, head"):
                self.assertIn(part, result.stdout)
            self.assertEqual(toy.leftovers(), [])

    def test_the_script_about_hat_compares_two_links_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory(prefix="virga-test-") as folder:
            toy = Toy(VIRGA, folder)
            environment = {**toy.environment, "VIRGA": toy.virga, "MANIFEST": str(toy.folder / "toy.yaml")}
            result = subprocess.run([SOURCE / "examples/hat.sh", "w4 w5"], env=environment, capture_output=True, text=True, timeout=120)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            for part in ("a round trip of 10 ms", "a round trip of 60 ms", "\ncloud ", "\nsplit ", "\nhat ", "drafted tokens stood"):
                self.assertIn(part, result.stdout)
            texts = {line.split(": ", 1)[1] for line in result.stdout.splitlines() if " round trips, " in line}
            self.assertEqual(len(texts), 1, "all say the same")
            self.assertEqual(toy.leftovers(), [])

    def test_the_scripts_are_short_enough_to_read(self):
        for script in (SOURCE / "examples").glob("*.sh"):
            self.assertLessEqual(len(script.read_text().splitlines()), 100)


if __name__ == "__main__":
    VIRGA = sys.argv.pop(1)
    unittest.main(verbosity=2)
