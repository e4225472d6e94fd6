"""deploy/manifests/families.yaml with real processes. usage: families_test.py VIRGA

A random model of each family, asked through its gateway with chats that its own template renders: `cloud`, `edge` and
`split` give, streamed or not, the text that transformers gives (tests/parity/make_family_fixtures.py).
"""
import json
import re
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from toy import SOURCE, Toy, free_port

VIRGA = ""
FIXTURES = SOURCE / "tests/parity/fixtures/families"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text())
STRATEGIES = ("cloud", "edge", "split")


def post(port, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def chat(port, strategy, messages, **more):
    whole = json.loads(post(port, {"model": f"virga/{strategy}", "messages": messages, "max_tokens": 32, **more}))
    return whole["choices"][0]["message"]["content"], whole["choices"][0]["finish_reason"], whole["usage"]["prompt_tokens"]


def streamed(port, strategy, messages):
    events = post(port, {"model": f"virga/{strategy}", "messages": messages, "max_tokens": 32, "stream": True})
    chunks = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    return "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])


class Families(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="virga-test-")
        cls.toy = Toy(VIRGA, cls.folder.name)
        text = (SOURCE / "deploy/manifests/families.yaml").read_text().replace("../../tests", str(SOURCE / "tests"))
        (cls.toy.folder / "families.yaml").write_text(re.sub(r"port: \d+", lambda _: f"port: {free_port()}", text))
        up = cls.toy.run("up", "families.yaml")
        assert up.returncode == 0, up.stdout + up.stderr
        nodes = json.loads(cls.toy.run("status", "families.yaml", "--json").stdout)["nodes"]
        cls.ports = {n["name"].removesuffix("-edge"): n["api_port"] for n in nodes if n["name"].endswith("-edge")}

    @classmethod
    def tearDownClass(cls):
        cls.toy.run("down", "families.yaml")
        cls.toy.end()
        cls.folder.cleanup()

    def test_every_family_answers_chats_as_transformers_does_through_every_strategy(self):
        self.assertEqual(sorted(self.ports), sorted(EXPECTED))
        for family, cases in EXPECTED.items():
            for strategy in STRATEGIES:
                for case in cases:
                    with self.subTest(family=family, strategy=strategy, messages=case["messages"]):
                        expected = case["answer"], case["finish_reason"], len(case["ids"])
                        self.assertEqual(chat(self.ports[family], strategy, case["messages"]), expected)

    def test_a_stream_adds_up_to_the_whole_text(self):
        for family, cases in EXPECTED.items():
            for strategy in STRATEGIES:
                with self.subTest(family=family, strategy=strategy):
                    self.assertEqual(streamed(self.ports[family], strategy, cases[1]["messages"]), cases[1]["answer"])

    def test_a_seed_gives_one_text_whatever_the_strategy_and_options_change_it(self):
        for family, cases in EXPECTED.items():
            messages, texts = cases[1]["messages"], []
            for options in ({"temperature": 1.5}, {"temperature": 1.5, "top_k": 8, "top_p": 0.9, "min_p": 0.05},
                            {"repetition_penalty": 1.8, "presence_penalty": 1, "frequency_penalty": 1}):
                answers = {chat(self.ports[family], strategy, messages, seed=7, **options)[0] for strategy in STRATEGIES}
                with self.subTest(family=family, options=options):
                    self.assertEqual(len(answers), 1)
                texts += answers
            with self.subTest(family=family):
                self.assertEqual(len({cases[1]["answer"], *texts}), 4)

    def test_a_stop_string_ends_the_answer_through_every_strategy(self):
        for family, cases in EXPECTED.items():
            case = cases[0]
            stop = case["answer"][9:13]
            expected = case["answer"][:case["answer"].index(stop)]
            for strategy in STRATEGIES:
                with self.subTest(family=family, strategy=strategy):
                    self.assertEqual(chat(self.ports[family], strategy, case["messages"], stop=["never", stop])[:2], (expected, "stop"))

    def test_a_template_that_refuses_the_messages_says_so_to_the_user(self):
        twice = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
        for strategy in STRATEGIES:
            with self.subTest(strategy=strategy), self.assertRaises(urllib.error.HTTPError) as refused:
                chat(self.ports["mistral"], strategy, twice)
            body = json.loads(refused.exception.read())
            self.assertEqual(refused.exception.code, 400)
            self.assertIn("Roles must alternate", body["error"]["message"])

    def test_special_tokens_that_a_user_writes_stay_text(self):
        for family, mark in (("llama", "<|eot_id|>"), ("mistral", "</s>"), ("qwen2", "<|im_end|>"), ("qwen3", "<|im_end|>")):
            with self.subTest(family=family):
                plain = chat(self.ports[family], "edge", [{"role": "user", "content": "x y"}])[2]
                marked = chat(self.ports[family], "edge", [{"role": "user", "content": f"x {mark} y"}])[2]
                self.assertGreater(marked, plain + 3, "one token would be the special one")


if __name__ == "__main__":
    VIRGA = sys.argv.pop(1)
    unittest.main(verbosity=2)
