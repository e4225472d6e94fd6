"""virga up, down, status and chat with real processes. usage: deployment_test.py VIRGA [TEST...]"""
import os
import signal
import socket
import sys
import tempfile
import unittest
import urllib.request

from toy import Toy, ToyTest, wait_until


class Deployment(ToyTest):
    def test_what_is_up_answers_with_every_strategy_and_leaves_nothing(self):
        self.up()
        status = self.toy.status()
        self.assertTrue(status["complete"], status)
        texts = {}
        for strategy in ("cloud", "edge", "split", "hat"):
            answer = self.toy.run("chat", "--strategy", strategy, "--message", "w4 w5 w6", "--max-tokens", "12")
            self.assertEqual(answer.returncode, 0, answer.stderr)
            texts[strategy], report = answer.stdout.splitlines()
            self.assertIn(strategy, report)
        # All hold the same model here, so all say the same, and one process alone says it too.
        alone = self.toy.run("run", "--model", "model", "--max-tokens", "12", "w4 w5 w6")
        self.assertEqual(set(texts.values()), {alone.stdout.strip()})
        self.down()

    def test_logs_of_all_nodes_come_in_the_order_of_time(self):
        self.up()
        body = '{"model": "virga/split", "prompt": "w4 w5", "max_tokens": 4}'
        request = urllib.request.Request(f"http://127.0.0.1:{self.toy.gateway}/v1/completions", body.encode(),
                                         {"Content-Type": "application/json", "X-Request-Id": "looked-for"})
        urllib.request.urlopen(request, timeout=20).read()
        lines = self.toy.run("logs", "--request", "looked-for").stdout.splitlines()
        self.assertEqual({line.split()[0] for line in lines}, {"edge-1", "cloud-1"}, lines)
        times = [line[line.index("["):][:25] for line in lines]
        self.assertEqual(times, sorted(times))
        self.assertIn("request begins", lines[0])
        self.assertIn("request ends", lines[-1])
        self.assertEqual(len(self.toy.run("logs", "cloud-1", "-n", "3").stdout.splitlines()), 3)
        self.assertIn("there are cloud-1 edge-1 keeper", self.toy.run("logs", "nobody").stderr)
        follower = self.toy.start("logs", "-f", "keeper", "edge-1")
        self.down()
        self.assertTrue(wait_until(lambda: "node edge-1 has ended" in self.toy.log("edge-1")))
        follower.send_signal(signal.SIGINT)
        self.assertIn("node edge-1 has ended", follower.communicate(timeout=10)[0])
        self.assertIn("looked-for", self.toy.run("logs", "--deployment", "toy", "-n", "1000").stdout, "also when it has ended")

    def test_rounds_of_up_and_down_leave_nothing(self):
        """VIRGA_ROUNDS=100 for many."""
        def temporary():
            found = [*os.listdir(tempfile.gettempdir()), *os.listdir("/dev/shm")]  # virga-test-: of tests that run beside this one
            return {name for name in found if ("virga" in name or "torch" in name) and not name.startswith("virga-test-")}

        before = temporary()
        for i in range(int(os.environ.get("VIRGA_ROUNDS", "5"))):
            self.up()
            chats = [self.toy.start("chat", "--strategy", "split", "--message", "w4 w5", "--max-tokens", "40")] if i % 2 else []
            self.down()  # every other time while it answers
            for chat in chats:
                chat.communicate(timeout=20)
        self.assertEqual(temporary(), before)

    def test_up_again_changes_nothing(self):
        self.up()
        before = self.toy.processes()
        again = self.up()
        self.assertIn("runs already", again.stdout)
        self.assertEqual(self.toy.processes(), before)
        self.down()

    def test_up_with_another_manifest_is_refused_while_it_runs(self):
        self.up()
        self.toy.write_manifest(lambda text: text + "limits: {max_sessions: 7}\n")
        result = self.toy.run("up", "toy.yaml")
        self.assertEqual(result.returncode, 1)
        self.assertIn("already runs with another manifest", result.stderr)
        self.down()

    def test_down_of_nothing_is_fine(self):
        result = self.toy.run("down")
        self.assertEqual((result.returncode, result.stdout), (0, "nothing runs\n"))
        self.assertEqual(self.toy.run("status").returncode, 2)

    def test_a_killed_node_comes_back(self):
        self.up()
        for name in ("cloud-1", "edge-1"):
            old = self.toy.pid(name)
            os.kill(old, signal.SIGKILL)
            self.assertTrue(wait_until(lambda: old not in self.toy.processes() and self.toy.status()["complete"]), self.toy.status())
            self.assertEqual(self.toy.node(name)["process_restarts"], 1)
        answer = self.toy.run("chat", "--strategy", "split", "--message", "w4", "--max-tokens", "4")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.down()

    def test_a_node_that_keeps_dying_is_given_up_with_a_reason(self):
        self.up()
        for _ in range(4):
            wait_until(lambda: "cloud-1" in self.toy.processes().values())
            pid = self.toy.pid("cloud-1")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pid not in self.toy.processes())
        self.assertTrue(wait_until(lambda: self.toy.node("cloud-1")["process"] == "failed"), self.toy.status())
        self.assertIn("killed by signal", self.toy.node("cloud-1")["reason"])
        self.assertEqual(self.toy.run("status").returncode, 1)
        edge = self.toy.run("chat", "--strategy", "edge", "--message", "w4", "--max-tokens", "4")
        self.assertEqual(edge.returncode, 0, "the edge goes on alone: " + edge.stderr)
        self.down()

    def test_down_after_a_node_was_killed_or_frozen_leaves_nothing(self):
        self.up()
        os.kill(self.toy.pid("edge-1"), signal.SIGKILL)
        os.kill(self.toy.pid("cloud-1"), signal.SIGSTOP)
        self.down()

    def test_a_killed_keeper_leaves_no_nodes_and_up_starts_anew(self):
        self.up()
        os.kill(self.toy.pid("keeper"), signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not self.toy.processes()), self.toy.processes())
        self.up()
        self.down()

    def test_down_after_the_keeper_was_killed_leaves_nothing(self):
        self.up()
        os.kill(self.toy.pid("keeper"), signal.SIGKILL)
        self.down()

    def test_down_ends_an_up_that_has_just_begun(self):
        starting = self.toy.start("up", "toy.yaml")
        self.assertTrue(wait_until(lambda: "keeper" in self.toy.processes().values()))
        self.assertEqual(self.toy.run("down").returncode, 0)
        starting.communicate(timeout=60)
        self.assertEqual(self.toy.leftovers(), [])

    def test_a_port_in_use_is_named_and_nothing_is_left_half_started(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", self.toy.gateway))
            taken.listen()
            result = self.toy.run("up", "toy.yaml")
        self.assertEqual(result.returncode, 1)
        self.assertIn(str(self.toy.gateway), result.stderr)
        self.assertIn("edge-1", result.stderr)
        self.assertEqual(self.toy.leftovers(), [])

    def test_a_running_answer_is_finished_before_the_node_ends(self):
        self.up()
        chat = self.toy.start("chat", "--strategy", "split", "--message", "w4 w5 w6", "--max-tokens", "100")
        self.assertTrue(wait_until(lambda: "opened at" in self.toy.log("cloud-1")))  # `status` may take longer than the answer
        self.down()
        text, _ = chat.communicate(timeout=30)
        self.assertEqual(chat.returncode, 0, text)
        self.assertIn("| 100 tokens,", text)

    def test_two_machines_start_their_own_nodes_in_any_order(self):
        self.toy.write_manifest(lambda text: "security: {certs: certs}\n" + text.replace("kind: cloud", "kind: cloud\n    machine: big")
                                .replace("kind: edge", "kind: edge\n    machine: small"))
        self.assertEqual(self.toy.run("certs", "toy.yaml", "--out", "certs").returncode, 0)
        both = self.toy.run("up", "toy.yaml")
        self.assertEqual(both.returncode, 2)
        self.assertIn("spans the machines big, small", both.stderr)
        self.assertEqual(self.toy.run("up", "toy.yaml", "--machine", "small").returncode, 0)
        self.assertEqual(set(self.toy.processes().values()), {"keeper", "edge-1"})
        other = Toy(self.virga, tempfile.mkdtemp(dir=self.folder.name))  # another runtime folder: the other machine
        other.folder = self.toy.folder
        self.assertEqual(other.run("up", "toy.yaml", "--machine", "big").returncode, 0)
        try:
            self.assertTrue(wait_until(lambda: "split" in self.toy.node("edge-1")["status"]["strategies"]))
        finally:
            self.assertEqual(other.run("down").returncode, 0)
        self.down()


if __name__ == "__main__":
    ToyTest.virga = sys.argv.pop(1)
    unittest.main(verbosity=2)
