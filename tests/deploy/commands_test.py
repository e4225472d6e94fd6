"""The commands that need no deployment: run, cut, certs, validate, node. usage: commands_test.py VIRGA [TEST...]"""
import itertools
import json
import math
import os
import pathlib
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import unittest
import urllib.request

from toy import SOURCE, ToyTest, wait_until

FAMILIES = SOURCE / "tests/parity/fixtures/families"


def in_two_files(model):
    """Rewrites model.safetensors as two files and their index."""
    data = (model / "model.safetensors").read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = {k: v for k, v in json.loads(data[8:8 + size]).items() if k != "__metadata__"}
    places = {}
    for i, names in enumerate((sorted(header)[::2], sorted(header)[1::2]), 1):
        part, bytes_of = {}, b""
        for name in names:
            begin, end = (8 + size + at for at in header[name]["data_offsets"])
            part[name] = {**header[name], "data_offsets": [len(bytes_of), len(bytes_of) + end - begin]}
            bytes_of += data[begin:end]
            places[name] = f"model-0000{i}-of-00002.safetensors"
        text = json.dumps(part).encode()
        (model / places[names[0]]).write_bytes(struct.pack("<Q", len(text)) + text + bytes_of)
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def grow(model, vocab):
    """Zeros for weights, with a table of so many rows."""
    data = (model / "model.safetensors").read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = {k: v for k, v in json.loads(data[8:8 + size]).items() if k != "__metadata__"}
    header["model.embed_tokens.weight"]["shape"][0] = vocab
    end = 0
    for entry in header.values():
        begin, end = end, end + 2 * math.prod(entry["shape"])
        entry.update(dtype="BF16", data_offsets=[begin, end])
    text = json.dumps(header).encode()
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(model / "model.safetensors", 8 + len(text) + end)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "vocab_size": vocab}))


class Commands(ToyTest):
    def refused(self, *arguments, **options):
        result = self.toy.run(*arguments, **options)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        return result.stderr

    def test_run_answers_from_an_option_an_argument_and_standard_input_alike(self):
        say = ("run", "--model", "model", "--max-tokens", "8")
        texts = {self.ok(*say, "--prompt", "w4 w5").stdout, self.ok(*say, "w4 w5").stdout, self.ok(*say, input="w4 w5\n").stdout}
        self.assertEqual(len(texts), 1)
        self.assertEqual(len(texts.pop().split()), 8)

    def test_run_gives_the_same_text_with_both_shards_and_repeats_a_seed(self):
        say = ("run", "--model", "model", "--max-tokens", "8", "--json", "--dtype", "f64", "w4 w5")
        torch, reference = (json.loads(self.ok(*say, *more).stdout) for more in ((), ("--reference",)))
        self.assertEqual(torch["text"], reference["text"])
        self.assertEqual((torch["completion_tokens"], torch["finish_reason"]), (8, "length"))
        self.assertEqual(torch["ids"], reference["ids"])
        hot = [json.loads(self.ok(*say, "--temperature", "1", "--seed", seed).stdout)["text"] for seed in ("1", "1", "2")]
        self.assertEqual(hot[0], hot[1])
        self.assertNotEqual(hot[0], hot[2])

    def test_run_refuses_bad_input_with_a_sentence(self):
        self.assertIn("nowhere: is no folder", self.refused("run", "--model", "nowhere", "x"))
        self.assertIn("prompt has 601 tokens, the model takes 1 to 511", self.refused("run", "--model", "model", "w4 " * 600))
        self.assertIn("temperature is nan", self.refused("run", "--model", "model", "--temperature", "nan", "x"))
        self.assertIn("token id 96 is beyond the model's vocabulary of 96", self.refused("run", "--model", "model", "--ids", "1,96"))
        self.assertIn("device `gpu`: known are cpu and cuda:N", self.refused("run", "--model", "model", "--device", "gpu", "w4"))
        self.assertRegex(self.refused("run", "--model", "model", "--device", "cuda:99", "w4"), "device cuda:99: this (virga was built without CUDA|machine has)")
        self.assertIn("leave --device cuda:0 out", self.refused("run", "--model", "model", "--device", "cuda:0", "--reference", "w4"))
        self.assertIn("`x` is no token id", self.refused("run", "--model", "model", "--ids", "1,x"))
        self.assertIn("`5` is not ID=VALUE", self.refused("run", "--model", "model", "--logit-bias", "5", "w4"))

    def test_run_takes_ids_and_needs_no_tokenizer_for_them(self):
        text = json.loads(self.ok("run", "--model", "model", "--max-tokens", "8", "--json", "w4 w5").stdout)
        (self.toy.folder / "model/tokenizer.json").unlink()
        ids = json.loads(self.ok("run", "--model", "model", "--max-tokens", "8", "--json", "--ids", "1,4,5").stdout)
        self.assertEqual(ids["ids"], text["ids"])
        self.assertIsNone(ids["text"])
        self.assertIn("no tokenizer.json", self.refused("run", "--model", "model", "w4"))

    def test_run_stops_at_a_text_across_tokens_and_obeys_biases_and_logprobs(self):
        say = ("run", "--model", "model", "--max-tokens", "8", "--json", "--prompt", "w4 w5")
        free = json.loads(self.ok(*say, "--logprobs", "3").stdout)
        words = free["text"].split()
        cut = json.loads(self.ok(*say, "--stop", f"{words[2]} {words[3]}").stdout)
        self.assertEqual((cut["text"].split(), cut["finish_reason"]), (words[:2], "stop"))
        self.assertEqual([t["id"] for t in free["logprobs"]], free["ids"])
        self.assertEqual(free["logprobs"][0]["top"][0]["id"], free["ids"][0])
        banned = json.loads(self.ok(*say, "--logit-bias", f"{free['ids'][0]}=-100").stdout)
        self.assertNotEqual(banned["ids"][0], free["ids"][0])

    def test_score_gives_the_log_probabilities_that_run_gives(self):
        run = json.loads(self.ok("run", "--model", "model", "--max-tokens", "6", "--json", "--dtype", "f64", "--ignore-eos",
                                 "--logprobs", "2", "--ids", "1,4,5").stdout)
        ids = ",".join(map(str, [1, 4, 5, *run["ids"]]))
        score = json.loads(self.ok("score", "--model", "model", "--ids", ids, "--dtype", "f64", "--top-k", "2", "--json").stdout)
        self.assertNotIn("logprob", score["tokens"][0])
        for scored, ran in zip(score["tokens"][3:], run["logprobs"], strict=True):
            self.assertEqual(scored["id"], ran["id"])
            self.assertAlmostEqual(scored["logprob"], ran["logprob"], places=9)
            self.assertEqual([t["id"] for t in scored["top"]], [t["id"] for t in ran["top"]])
        mean = sum(t["logprob"] for t in score["tokens"][1:]) / (len(score["tokens"]) - 1)
        self.assertAlmostEqual(score["perplexity"], math.exp(-mean), places=9)

    def test_score_says_what_a_smaller_dtype_costs(self):
        say = ("score", "--model", "model", "--ids", "1,4,5,6,7,8,9", "--json")
        same = json.loads(self.ok(*say, "--dtype", "f32", "--against", "f32").stdout)["against"]
        self.assertEqual((same["agreement"], same["flips"], same["perplexity_change"]), (1, 0, 0))
        bf16 = json.loads(self.ok(*say, "--dtype", "bf16", "--against", "f32").stdout)["against"]
        self.assertEqual(bf16["compared"], 6)
        self.assertIn("over 6 tokens", self.ok(*say[:-1]).stdout)

    def test_bench_engine_times_both_paths_and_says_how_far_their_logits_are_apart(self):
        say = ("bench", "engine", "--model", str(SOURCE / "models/zoo/edge-s"), "--tokens", "3", "--rounds", "1", "--json",
               "--threads", "1", "--against", "libtorch", "--dtype", "f32", "bf16", "int8", "int4")
        result = json.loads(self.ok(*say, "--prompt", "70").stdout)
        rows = result["rows"]
        self.assertEqual(["f32", "bf16", "int8", "int4"], [r["dtype"] for r in rows])
        for r in rows:
            self.assertGreater(min(r["decode_ratio"], r["prefill_ratio"], r["decode_bandwidth_share"]), 0)
        self.assertLess(rows[0]["logits_difference"], 1e-4)
        self.assertLess(rows[1]["logits_difference"], 0.1)
        for r in result["alone"]:
            self.assertGreater(min(r["batch8_ratio"], r["batch32_ratio"], r["busy_ratio"], r["prefix_ratio"]), 0)
            self.assertTrue(0 < r["outside_kernels"] < 1, r)
            self.assertLess(r["idle_core_share"], 0.05)
        self.assertIn("ask for fewer with --prompt", self.refused(*say, "--prompt", "99999"))
        self.assertIn("setup.sh --bench", self.refused("bench", "engine", "--model", str(SOURCE / "models/zoo/edge-s"), "--prompt", "8",
                                                       "--tokens", "2", "--dtype", "f32", "--python", "/no/python"))

    def test_tokenize_gives_ids_and_text_back(self):
        llama = str(FAMILIES / "llama")
        text = " a  b\n雨🙂 <|eot_id|>\n"
        ids = json.loads(self.ok("tokenize", "--model", llama, "--json", input=text).stdout)["ids"]
        plain = json.loads(self.ok("tokenize", "--model", llama, "--json", "--no-special", input=text).stdout)["ids"]
        self.assertEqual(ids[1:], plain)
        listed = " ".join(map(str, plain))
        self.assertEqual(self.ok("tokenize", "--model", llama, "--no-special", input=text).stdout.strip(), listed)
        special = json.loads(self.ok("tokenize", "--model", llama, "--json", "--no-special", "--parse-special", input=text).stdout)["ids"]
        self.assertLess(len(special), len(plain))
        for given in (listed, ",".join(map(str, plain)), json.dumps({"ids": plain})):
            back = self.ok("tokenize", "--model", llama, "--decode", "--json", input=given).stdout
            self.assertEqual(json.loads(back)["text"], text)
        self.assertEqual(self.ok("tokenize", "--model", llama, "--decode", input=listed).stdout, text)
        self.assertNotIn("<|begin", self.ok("tokenize", "--model", llama, "--decode", "--skip-special", input=str(ids[0])).stdout)
        self.assertIn("token id 999999 is not in the tokenizer", self.refused("tokenize", "--model", llama, "--decode", input="1,999999"))
        self.assertIn("tokenizer.json: cannot be read", self.refused("tokenize", "--model", ".", input="x"))
        broken = subprocess.run([self.virga, "tokenize", "--model", llama], input=b"ab\xff", capture_output=True)
        self.assertEqual(broken.returncode, 2)
        self.assertIn(b"no UTF-8 from byte 2", broken.stderr)

    def test_template_renders_messages(self):
        qwen = str(FAMILIES / "qwen3")
        hi = [{"role": "user", "content": "hi"}]
        text = self.ok("template", "--model", qwen, input=json.dumps(hi)).stdout
        self.assertTrue(text.startswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"))
        self.assertEqual(json.loads(self.ok("template", "--model", qwen, "--json", input=json.dumps(hi)).stdout), {"text": text})
        bare = self.ok("template", "--model", qwen, "--no-generation-prompt", input=json.dumps(hi)).stdout
        self.assertEqual(bare, "<|im_start|>user\nhi<|im_end|>\n")
        thinking = self.ok("template", "--model", qwen, input=json.dumps({"messages": hi, "enable_thinking": True})).stdout
        self.assertNotIn("</think>", thinking)
        wrong = json.dumps([{"role": "assistant", "content": "hi"}])
        self.assertIn("Roles must alternate", self.refused("template", "--model", str(FAMILIES / "mistral"), input=wrong))
        self.assertIn("no JSON", self.refused("template", "--model", qwen, input="hi"))
        self.assertIn("has no chat template", self.refused("template", "--model", ".", input=json.dumps(hi)))

    def test_inspect_says_what_runs_and_what_does_not(self):
        seen = json.loads(self.ok("inspect", str(FAMILIES / "mistral"), "--json").stdout)
        self.assertEqual((seen["runs"], seen["problems"], seen["chat_template"]), (True, [], True))
        self.assertEqual(seen["shape"]["model_type"], "mistral")
        weights = sum(seen["bytes"].values())
        self.assertLess(weights, (FAMILIES / "mistral/model.safetensors").stat().st_size)
        self.assertIn("runs", self.ok("inspect", "model").stdout)
        model = pathlib.Path(self.folder.name) / "model"
        (model / "chat_template.jinja").write_text("{{ x | nofilter }}")
        (model / "tokenizer.json").write_text("{}")
        seen = json.loads(self.ok("inspect", "model", "--json").stdout)
        self.assertEqual([p["part"] for p in seen["problems"]], ["tokenizer", "chat template"])
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}))
        result = self.toy.run("inspect", "model", "--json")
        self.assertEqual(result.returncode, 2)
        self.assertIn("gpt2", json.loads(result.stdout)["problems"][0]["why"])

    def test_a_folder_of_several_files_is_run_and_cut(self):
        sharded = pathlib.Path(self.folder.name) / "sharded"
        shutil.copytree(FAMILIES / "llama", sharded)
        in_two_files(sharded)
        ids = ("--ids", "1,2,3", "--ignore-eos", "--max-tokens", "4", "--json")
        self.assertEqual(len(json.loads(self.ok("run", "--model", str(sharded), *ids).stdout)["ids"]), 4)
        made = json.loads(self.ok("cut", "--model", str(sharded), "--stages", "0-0", "--out", "part", "--json").stdout)
        self.assertLess(made["weight_bytes"], made["whole_weight_bytes"])
        self.assertEqual(json.loads(self.ok("inspect", "part", "--json").stdout)["digest"], made["model_digest"])

    def test_cut_writes_a_part_that_knows_what_it_is_and_overwrites_nothing(self):
        cut = ("cut", "--model", "model", "--stages", "1-2", "--out", "part")
        self.assertIn("layers 1-2", self.ok(*cut).stdout)
        files = sorted(p.name for p in (self.toy.folder / "part").iterdir())
        self.assertEqual(files, ["config.json", "generation_config.json", "model.safetensors", "virga.json"])
        self.assertIn("exists already", self.refused(*cut))
        self.assertIn("needs a whole model", self.refused("run", "--model", "part", "x"))
        self.assertIn("no layers 1-9", self.refused("cut", "--model", "model", "--stages", "1-9", "--out", "other"))
        self.assertFalse((self.toy.folder / "other").exists())

    def test_a_quantised_folder_answers_as_the_folder_that_it_was_made_from(self):
        made = json.loads(self.ok("quantize", "model", "small", "--dtype", "int4", "--json").stdout)
        seen = json.loads(self.ok("inspect", "small", "--json").stdout)
        self.assertEqual((seen["quantised"], seen["runs"], seen["digest"]), ("int4", True, made["model_digest"]))
        self.assertEqual(seen["digest"], json.loads(self.ok("inspect", "model", "--json").stdout)["digest"])
        say = ("--max-tokens", "8", "--json", "--ignore-eos", "w4 w5")
        ids = [json.loads(self.ok("run", "--model", *more, *say).stdout)["ids"]
               for more in (("small",), ("small", "--dtype", "int4"), ("model", "--dtype", "int4"))]
        self.assertEqual((ids[0], ids[0]), (ids[1], ids[2]))
        scores = [self.ok("score", "--model", *more, "--ids", "4,5,6,7", "--json").stdout for more in (("small",), ("model", "--dtype", "int4"))]
        self.assertEqual(scores[0], scores[1])
        self.assertIn("small: is quantised to int4, so it cannot run in f32", self.refused("run", "--model", "small", "--dtype", "f32", "w4"))
        self.assertIn("cannot run in f32", self.refused("score", "--model", "small", "--ids", "4,5", "--against", "f32"))
        self.assertIn("needs the model's own numbers", self.refused("run", "--model", "small", "--reference", "w4"))
        self.assertIn("training needs", self.refused("train", "adapter", "--model", "small", "--split", "1", "--out", "a", "--data", "x"))
        self.assertIn("is quantised to int4", self.refused("quantize", "small", "again", "--dtype", "int8"))
        self.assertIn("exists already", self.refused("quantize", "model", "small", "--dtype", "int8"))
        self.refused("quantize", "model", "other", "--dtype", "f64")
        self.refused("quantize", "model", "other")
        rows = json.loads(self.ok("bench", "load", "--model", "small", "--rounds", "2", "--threads", "1", "--json").stdout)["rows"]
        self.assertEqual([(r["dtype"], r["quantised"]) for r in rows], [("int4", True)])
        self.assertEqual(rows[0]["bytes"], (self.toy.folder / "small/model.safetensors").stat().st_size)

    def test_quantising_that_is_interrupted_leaves_nothing(self):
        shutil.copytree(self.toy.folder / "model", self.toy.folder / "large")
        grow(self.toy.folder / "large", vocab=4_000_000)
        before = sorted(p.name for p in self.toy.folder.iterdir())
        work = self.toy.start("quantize", "large", "new", "--dtype", "f32")
        self.assertTrue(wait_until(lambda: any(self.toy.folder.glob(".virga-new-*/model.safetensors.part"))))
        work.send_signal(signal.SIGINT)
        output, _ = work.communicate(timeout=20)
        self.assertEqual((work.returncode, sorted(p.name for p in self.toy.folder.iterdir())), (1, before), output)
        self.assertIn("interrupted; nothing was written", output)

    def test_a_manifest_may_name_a_quantised_folder(self):
        self.ok("quantize", "model", "small", "--dtype", "int8")
        self.ok("cut", "--model", "model", "--stages", "1-2", "--out", "part")
        self.ok("quantize", "part", "middle", "--dtype", "int8")
        self.toy.write_manifest(lambda text: text.replace("model: model, stages: \"1-2\"", "model: middle").replace("model: model", "model: small"))
        self.ok("validate", "toy.yaml")
        self.ok("up", "toy.yaml")
        texts = {self.ok("chat", "--strategy", how, "--message", "w4 w5", "--max-tokens", "8").stdout.split("\n")[0] for how in ("cloud", "split")}
        self.ok("down")
        self.assertEqual(len(texts), 1, texts)
        self.toy.write_manifest(lambda text: text.replace("name: whole, model: model", "name: whole, dtype: f32, model: small"))
        self.assertIn("toy.yaml:10:30: " + str(self.toy.folder / "small") + ": is quantised to int8, so it cannot run in f32",
                      self.refused("validate", "toy.yaml"))

    def test_certs_are_for_the_names_of_the_manifest_and_for_the_owner_only(self):
        self.ok("certs", "toy.yaml", "--out", "certs")
        before = {p.name: p.read_bytes() for p in (self.toy.folder / "certs").iterdir()}
        self.assertEqual(sorted(before), ["ca.key", "ca.pem", "cloud-1.key", "cloud-1.pem", "edge-1.key", "edge-1.pem"])
        for p in (self.toy.folder / "certs").iterdir():
            self.assertEqual(p.stat().st_mode & 0o077, 0, p)
        names = ssl._ssl._test_decode_cert(str(self.toy.folder / "certs/cloud-1.pem"))["subjectAltName"]
        self.assertIn(("DNS", "cloud-1"), names)
        self.ok("certs", "toy.yaml", "--out", "certs")
        self.assertEqual({p.name: p.read_bytes() for p in (self.toy.folder / "certs").iterdir()}, before)

    def test_validate_counts_the_mistakes_and_ends_with_code_2(self):
        self.assertIn("toy.yaml: sound; deployment toy, 2 nodes, 1 links", self.ok("validate", "toy.yaml").stdout)
        self.toy.write_manifest(lambda text: text.replace("kind: edge", "kind: fog").replace("rtt_ms: 10", "rtt_ms: -1"))
        said = self.refused("validate", "toy.yaml")
        self.assertIn("toy.yaml:16:11: `kind` of node is `fog`", said)
        self.assertIn("`rtt_ms` of link is `-1`", said)
        self.assertTrue(said.endswith("\n2 mistakes\n"), said)

    def test_the_shipped_manifests_and_the_command_line_are_checked_before_anything_starts(self):
        self.assertIn("toyy.yaml is no file", self.refused("up", "toyy.yaml"))
        self.refused("fly")
        self.refused("up")
        self.assertIn("Examples:", self.ok("--help").stdout)
        self.assertRegex(self.ok("--version").stdout, r"^virga \d+\.\d+\.\d+\n$")
        self.assertEqual(self.toy.leftovers(), [])

    def test_a_runtime_folder_that_others_can_enter_is_refused(self):
        (self.toy.folder / f"run/virga-{os.geteuid()}").mkdir()
        (self.toy.folder / f"run/virga-{os.geteuid()}").chmod(0o777)
        result = self.toy.run("up", "toy.yaml")
        self.assertEqual(result.returncode, 1)
        self.assertIn("is not a folder of yours alone (mode 0700)", result.stderr)
        self.assertEqual(self.toy.processes(), {})

    def test_one_node_runs_in_the_foreground_and_drains_on_sigterm(self):
        self.assertIn("run `virga certs`", self.refused("node", "--manifest", "toy.yaml", "--name", "edge-1"))
        self.ok("certs", "toy.yaml", "--out", "certs")
        self.toy.write_manifest(lambda text: text + "security: {certs: certs}\n")
        self.assertIn("no node `edge-7`", self.refused("node", "--manifest", "toy.yaml", "--name", "edge-7"))
        edge = self.toy.start("node", "--manifest", "toy.yaml", "--name", "edge-1")
        try:
            url = f"http://127.0.0.1:{self.toy.gateway}/v1/models"
            self.assertTrue(wait_until(lambda: "virga/edge" in read(url)), "the edge serves what it can do alone")
            self.assertNotIn("virga/split", read(url))
        finally:
            edge.send_signal(signal.SIGTERM)
            output, _ = edge.communicate(timeout=20)
        self.assertEqual(edge.returncode, 0, output)
        self.assertEqual(self.toy.leftovers(), [])

    def test_the_manifest_for_two_machines_is_sound_on_both(self):
        text = (SOURCE / "deploy/manifests/lan.yaml").read_text().replace("../../models", str(SOURCE / "models"))
        (self.toy.folder / "lan.yaml").write_text(text)
        cloud = str(SOURCE / "models/zoo/cloud")
        self.ok("cut", "--model", cloud, "--stages", "embedding,0-0,head", "--out", "device")
        self.ok("cut", "--model", cloud, "--stages", "1-3", "--out", "middle")
        self.ok("certs", "lan.yaml", "--out", "certs")
        for machine in ("big", "small"):
            self.ok("validate", "lan.yaml", "--machine", machine)

    def test_train_adapter_learns_from_text_and_from_the_models_own_answers(self):
        (self.toy.folder / "text.txt").write_text(" ".join(f"w{3 + i * i % 90}" for i in range(4000)))
        (self.toy.folder / "prompts.txt").write_text("\n".join(f"w{i} w{i + 1}" for i in range(3, 90)))
        say = ("train", "adapter", "--model", "model", "--split", "1", "--million-tokens", "0.02", "--batch-tokens", "500")
        text = json.loads(self.ok(*say, "--out", "by-text", "--data", "text.txt", "--width", "40", "--json").stdout)
        self.assertEqual([row["name"] for row in text["scores"]], ["agreement with the model, held-out examples"])
        own = say + ("--out", "by-answers", "--data", "own", "--prompts", "prompts.txt", "--answer-tokens", "20")
        self.ok(*own, "--stop-after-steps", "5")
        kept = (self.toy.folder / "by-answers/continuations.txt").read_text()
        self.assertEqual(len(kept.splitlines()), 88)
        scores = {row["name"]: row for row in json.loads(self.ok(*own, "--json").stdout)["scores"]}
        self.assertGreaterEqual(scores["tokens a round (accept length)"]["value"], 1)
        card = (self.toy.folder / "by-answers/MODEL_CARD.md").read_text()
        for part in ("behind 1 of", "--data own", "held-out prompts", "hash"):
            self.assertIn(part, card)
        self.assertIn("already holds an adapter", self.refused(*own))

    def test_train_adapter_refuses_bad_input_with_a_sentence(self):
        def refused(*more, model="model", split="1"):
            return self.refused("train", "adapter", "--model", model, "--split", split, "--out", "adapter", *more)
        (self.toy.folder / "empty.txt").write_text("")
        (self.toy.folder / "text.txt").write_text(" ".join(f"w{3 + i * i % 91}" for i in range(2000)))
        (self.toy.folder / "short.txt").write_text("w4 w5")
        for split in ("0", "3"):
            self.assertIn(f"behind {split} layers", refused("--data", "text.txt", "--width", "20", split=split))
        self.assertIn("does not speak of the generated world", refused())
        self.assertIn("give the prompts with --prompts", refused("--data", "own"))
        self.assertIn("nothing.txt cannot be read", refused("--data", "nothing.txt"))
        self.assertIn("empty.txt is empty", refused("--data", "empty.txt"))
        self.assertIn("empty.txt is empty", refused("--data", "own", "--prompts", "empty.txt"))
        self.assertIn("too few", refused("--data", "short.txt"))
        self.assertIn("nowhere: is no folder", refused("--data", "text.txt", model="nowhere"))
        self.ok("cut", "--model", "model", "--stages", "0-1", "--out", "part")
        self.assertIn("part holds only layers 0-1", refused("--data", "text.txt", model="part"))
        self.assertFalse((self.toy.folder / "adapter/adapter_config.json").exists())

    def test_stock_clients_talk_to_a_deployment(self):
        python = os.environ.get("VIRGA_TEST_PYTHON", sys.executable)
        if subprocess.run([python, "-c", "import openai, huggingface_hub"], capture_output=True).returncode != 0:
            self.skipTest("no openai and huggingface_hub packages: `make test` installs them")
        self.ok("up", "toy.yaml")
        url = f"http://127.0.0.1:{self.toy.gateway}"
        for script, strategy in itertools.product(("openai", "huggingface"), ("cloud", "edge", "split", "hat")):
            path = pathlib.Path(__file__).parents[1] / f"actors/{script}_client_test.py"
            client = subprocess.run([python, path, url, strategy], capture_output=True, text=True, timeout=60)
            self.assertEqual((client.returncode, client.stdout[:3]), (0, "OK "), client.stdout + client.stderr)
        self.ok("down")


def read(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.read().decode()
    except OSError:
        return ""


if __name__ == "__main__":
    ToyTest.virga = sys.argv.pop(1)
    unittest.main(verbosity=2)
