"""virga plan and virga doctor on a running deployment. usage: plan_test.py VIRGA [TEST...]"""
import json
import signal
import sys
import unittest

from toy import SLOW, ToyTest, wait_until


class Plan(ToyTest):
    def plan(self, *options) -> dict:
        return json.loads(self.ok("plan", "toy.yaml", "--prompt", "w4 w5 w6", "--json", *options).stdout)

    def doctor(self, *options) -> dict:
        return json.loads(self.ok("doctor", "--prompt", "w4 w5 w6", "--json", *options).stdout)

    def test_bytes_come_from_the_folders_and_times_from_measured_constants(self):
        plan = self.plan()
        held = {(n["node"], n["engine"]): n for n in plan["nodes"]}
        self.assertEqual(len(held), 5)
        self.assertEqual(held["cloud-1", "middle"]["holds"], "layers 1-2")
        self.assertLess(held["cloud-1", "middle"]["weights_bytes"], held["cloud-1", "whole"]["weights_bytes"])
        self.assertEqual(held["cloud-1", "whole"]["kv_bytes"], 256 << 20)
        rows = {s["strategy"]: s for s in plan["strategies"]}
        self.assertEqual(set(rows), {"cloud", "edge", "split"})
        self.assertEqual([rows[s]["round_trips_per_token"] for s in ("cloud", "edge", "split")], [0, 0, 1])
        self.assertNotIn("ttft_ms", rows["split"])
        self.assertIn("--measure", self.ok("plan", "toy.yaml").stdout)

        self.plan("--measure")
        self.assertEqual(self.toy.leftovers(), [])
        rows = {s["strategy"]: s for s in self.plan()["strategies"]}
        self.assertGreater(rows["split"]["tbt_ms"], 10, "a round trip of the manifest")
        self.assertLess(rows["edge"]["tbt_ms"], rows["split"]["tbt_ms"])
        self.toy.write_manifest(lambda text: text.replace("rtt_ms: 10", "rtt_ms: 200"))
        slower = {s["strategy"]: s for s in self.plan()["strategies"]}
        self.assertAlmostEqual(slower["split"]["tbt_ms"] - rows["split"]["tbt_ms"], 190, delta=0.01)
        self.toy.write_manifest(lambda text: text.replace("model: model, stages", "model: model, dtype: f64, stages"))
        self.assertNotIn("ttft_ms", self.plan()["strategies"][0], "the constants are of other engines")

    def test_a_signal_takes_down_what_a_measurement_launched(self):
        with self.toy.start("plan", "toy.yaml", "--prompt", "w4 w5 w6", "--measure") as measuring:
            self.assertTrue(wait_until(lambda: len(self.toy.processes()) >= 2), "its nodes run")
            measuring.terminate()
            self.assertEqual(measuring.wait(20 * SLOW), 128 + signal.SIGTERM)
        self.assertEqual(self.toy.leftovers(), [])

    def test_doctor_says_what_is_slow_and_what_is_broken(self):
        self.up()
        found = self.doctor()
        self.assertEqual(found["findings"], [])
        at_edge = {s["strategy"]: s for s in found["strategies"] if s["node"] == "edge-1"}
        self.assertEqual(set(at_edge), {"cloud", "edge", "split", "hat"})
        self.assertEqual(at_edge["split"]["slowest"], "link")
        self.assertIn("round trip", at_edge["split"]["advice"])
        self.assertNotEqual(at_edge["edge"]["slowest"], "link")
        bytes_up = next(s for s in self.plan()["strategies"] if s["strategy"] == "split")
        self.assertEqual(bytes_up["requests"], 5)
        self.assertGreater(bytes_up["measured_tbt_ms"], 10)
        self.ok("chaos", "edge-1", "--cut")
        found = []

        def names_the_broken_way() -> bool:
            found[:] = self.doctor()["findings"]
            return "connected to" in " ".join(found)

        self.assertTrue(wait_until(names_the_broken_way), found)
        self.assertIn("the link", self.ok("doctor", "--requests", "0").stdout)
        self.down()

    def test_what_one_request_carries_is_what_the_plan_says(self):
        self.up()
        row = {s["strategy"]: s for s in self.plan()["strategies"]}["split"]
        tokens = 16
        code, answer = self.toy.ask("split", tokens, prompt="w4 w5 w6")
        self.assertEqual(code, 200)
        said = answer["virga"]
        produced = answer["usage"]["completion_tokens"]
        rounds = said["round_trips"]
        planned = row["prompt_up"] + (rounds - 2) * row["token_up"]
        self.assertGreater(produced, 3)
        self.assertAlmostEqual(said["bytes_up"] / planned, 1, delta=0.1)
        self.down()


if __name__ == "__main__":
    ToyTest.virga = sys.argv.pop(1)
    unittest.main(verbosity=2)
