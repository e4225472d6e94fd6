#!/usr/bin/env python3
"""Runs the fuzzers of a build for some seconds each, all at once, from the fixtures and what the code itself writes as seeds.

  tests/fuzz/run.py build/fuzz 5                       what make test does
  tests/fuzz/run.py build/fuzz 3600 template_fuzz      one of them for an hour

A finding stays in BUILD/findings/TARGET-*, and its output is printed; run the target with that file to see it again.
What was learnt stays in BUILD/corpus/TARGET and is used the next time.
"""
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "parity/fixtures"
TEXT = "a é雨🙂 <s> 12 \n".encode()


def seeds(target, build):
    if target == "decoder_fuzz":
        lines = subprocess.run([build / "tests/fuzz/decoder_seeds"], check=True, capture_output=True, text=True).stdout
        return [bytes.fromhex(line) for line in lines.split()]
    if target == "safetensors_fuzz":
        return [f.read_bytes() for f in FIXTURES.glob("architectures/*/*.safetensors") if f.stat().st_size < 40_000]
    if target == "config_fuzz":
        return [f.read_bytes() for f in FIXTURES.glob("*/*/config.json")]
    if target == "tokenizer_fuzz":
        return [f.read_bytes() + b"\0" + TEXT for f in FIXTURES.rglob("tokenizer.json")] + [SMALL_TOKENIZER.encode() + b"\0" + TEXT]
    if target == "template_fuzz":
        return [s.encode() + b"\0" + TEXT for s in json.loads((FIXTURES / "templates.json").read_text())["sources"]]
    if target == "http_fuzz":
        return [b"\0" + head(body) + body for body in BODIES] + [b"\7" + b"".join(head(body) + body for body in BODIES)]
    return []


def head(body):
    return (b"POST /v1/chat/completions?x=%41 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nX-Request-Id: r\r\n"
            b"X-Virga-Deadline-Ms: 500\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n")


BODIES = [json.dumps(b).encode() for b in (
    {"model": "virga/split", "messages": [{"role": "user", "content": [{"type": "text", "text": "é"}]}], "stream": True, "n": 2,
     "stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 3, "stop": ["a", "b"], "logit_bias": {"7": -100}},
    {"model": "cloud", "prompt": "a", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "min_p": 0.1, "seed": 1, "logprobs": 2},
    {"peer": "cloud-1", "up": {"latency_ms": 5, "mbit": 2}, "down": {"partitioned": True}, "stall_ms": 1, "cut": True})]

SMALL_TOKENIZER = json.dumps({
    "added_tokens": [{"id": 5, "content": "<s>", "special": True, "normalized": False, "lstrip": True}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "NFC"},
                                                        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\s+|\\p{L}+"}, "behavior": "Isolated", "invert": False},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                       "special_tokens": {"<s>": {"ids": [5]}}},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                  {"type": "ByteFallback"}, {"type": "Fuse"},
                                                  {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "a", "fuse_unk": True, "byte_fallback": True, "ignore_merges": True,
              "vocab": {"a": 0, "b": 1, "ab": 2, "▁": 3, "<0x41>": 4}, "merges": ["a b"]}})

WORDS = {
    "http_fuzz": ["POST ", "GET ", "HTTP/1.1\r\n", "\r\n\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n",
                  "Connection: close\r\n", "Authorization: Bearer ", "X-Request-Id: ", "X-Virga-Deadline-Ms: ", "\"messages\"", "\"prompt\"",
                  "\"content\"", "\"stop\"", "\"logit_bias\"", "\"stream_options\"", "\"n\"", "1e999", "\\ud800", "0\r\n\r\n"],
    "template_fuzz": ["{{", "}}", "{%", "%}", "{%-", "-%}", "{#", "#}", "for m in messages", "endfor", "if", "else", "endif", "set",
                      "endset", "macro f(a)", "endmacro", "namespace()", "loop.index0", "|tojson", "|trim", "|selectattr('role')",
                      "|map(attribute='content')", "|list", "[::-1]", ".split('a')", ".items()", "is defined", "not in", "~", "content",
                      "raise_exception('x')", "|replace('a','b')", "|indent(2)", "|join", "range(3)", "break", "|upper", "generation"],
    "tokenizer_fuzz": ["\"type\"", "\"BPE\"", "\"WordLevel\"", "\"Sequence\"", "\"ByteLevel\"", "\"Metaspace\"", "\"Split\"", "\"Regex\"",
                       "\"NFC\"", "\"NFKD\"", "\"merges\"", "\"vocab\"", "\"special\"", "\"lstrip\"", "\"rstrip\"", "\"Digits\"",
                       "\"Punctuation\"", "\"MergedWithNext\"", "\"invert\"", "true", "false", "null", "\"Strip\"", "\"prepend_scheme\""],
    "config_fuzz": ["\"model_type\"", "\"llama\"", "\"qwen2\"", "\"qwen3\"", "\"mistral\"", "\"rope_scaling\"", "\"rope_parameters\"",
                    "\"yarn\"", "\"llama3\"", "\"linear\"", "\"head_dim\"", "\"layer_types\"", "\"sliding_attention\"", "1e308", "-1", "null"],
    "safetensors_fuzz": ["\"dtype\"", "\"F32\"", "\"BF16\"", "\"F16\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "[0,4]"],
}


def start(build, target, seconds):
    corpus, findings, made = build / "corpus" / target, build / "findings", build / "seeds" / target
    for folder in (corpus, findings, made):
        folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(seeds(target, build)):
        (made / str(i)).write_bytes(seed)
    words = made.parent / f"{target}.dict"
    words.write_text("".join('"' + "".join(f"\\x{b:02x}" for b in w.encode()) + '"\n' for w in WORDS.get(target, [])))
    log = open(build / f"{target}.log", "wb")
    command = [build / "tests/fuzz" / target, corpus, made, f"-max_total_time={seconds}", f"-artifact_prefix={findings}/{target}-",
               "-timeout=20", "-rss_limit_mb=2048", "-max_len=40000", "-print_final_stats=1"] + ([f"-dict={words}"] if target in WORDS else [])
    return subprocess.Popen(command, stdout=log, stderr=log), log.name


def main():
    build, seconds = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    targets = sys.argv[3:] or sorted(p.name for p in (build / "tests/fuzz").glob("*_fuzz"))
    running = {t: start(build, t, seconds) for t in targets}
    bad = 0
    for target, (process, log) in running.items():
        code = process.wait()
        text = pathlib.Path(log).read_text(errors="replace")
        runs = re.search(r"number_of_executed_units: (\d+)", text)
        print(f"[fuzz] {target}: {runs.group(1) if runs else '?'} inputs in {seconds} s, {'nothing found' if code == 0 else 'FAILED'}",
              flush=True)
        if code != 0:
            bad += 1
            print(text[-8000:])
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
