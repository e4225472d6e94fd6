#!/usr/bin/env python3
"""Compares the `virga` command with transformers on model folders: python compare_folder.py VIRGA DIR...

For each folder and for random token ids: log-probabilities of both shards in f64 against a double model whose norm, softmax
and rotary embedding compute in f64 too (stock transformers computes these in f32), those of f32 against the stock library,
64 greedy tokens, and bf16 against f32. Needs torch, transformers and safetensors; not run by the test suite.
"""
import contextlib
import json
import random
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM

GREEDY = 64


@contextlib.contextmanager
def everything_in_f64():
    stock = torch.float, torch.float32, torch.Tensor.float
    torch.float = torch.float32 = torch.float64
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.float, torch.float32, torch.Tensor.float = stock


def stock_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logprobs_f64(folder, ids):
    model = stock_model(folder).double()
    with everything_in_f64():
        model.model.rotary_emb = type(model.model.rotary_emb)(config=model.config)
        logits = model(torch.tensor([ids])).logits[0]
    assert logits.dtype == torch.float64
    return logits.log_softmax(-1)


def ask(virga, command, folder, *more):
    out = subprocess.run([virga, command, "--model", folder, "--json", *more], capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"{folder}: virga {command} {' '.join(more)}: {out.stderr}")
    return json.loads(out.stdout)


def worst_difference(virga, folder, ids, expected, *more):
    vocab = expected.shape[-1]
    tokens = ask(virga, "score", folder, "--ids", ",".join(map(str, ids)), "--top-k", str(min(vocab, 1000)), *more)["tokens"]
    worst = 0.0
    for position, token in enumerate(tokens[1:]):
        row = expected[position]
        worst = max(worst, abs(token["logprob"] - float(row[ids[position + 1]])))
        worst = max([worst] + [abs(t["logprob"] - float(row[t["id"]])) for t in token["top"]])
    return worst


def greedy(model, ids):
    out, margin = [], 1e9
    for _ in range(GREEDY):
        top = model(torch.tensor([ids + out])).logits[0, -1].topk(2)
        margin = min(margin, float(top.values[0] - top.values[1]))
        out.append(int(top.indices[0]))
    return out, margin


def compare(virga, folder, length):
    config = json.load(open(f"{folder}/config.json"))
    draw = random.Random(folder)
    ids = [draw.randrange(config["vocab_size"]) for _ in range(length)]
    exact, model = logprobs_f64(folder, ids), stock_model(folder)
    f32 = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    row = {"folder": folder, "model_type": config["model_type"]}
    row["f64 torch"] = worst_difference(virga, folder, ids, exact, "--dtype", "f64")
    row["f64 reference"] = worst_difference(virga, folder, ids, exact, "--dtype", "f64", "--reference")
    row["f32"] = worst_difference(virga, folder, ids, f32, "--dtype", "f32")
    expected, margin = greedy(model, ids[:length // 2])
    got = ask(virga, "run", folder, "--ids", ",".join(map(str, ids[:length // 2])), "--max-tokens", str(GREEDY), "--ignore-eos")["ids"]
    row["greedy"] = "identical" if got == expected else f"DIFFERS (smallest margin {margin:.1e})"
    bf16 = ask(virga, "score", folder, "--ids", ",".join(map(str, ids)), "--dtype", "bf16", "--against", "f32")["against"]
    row["bf16 agreement"], row["bf16 perplexity change"] = bf16["agreement"], bf16["perplexity_change"]
    ok = row["f64 torch"] < 1e-9 and row["f64 reference"] < 1e-9 and row["f32"] < 1e-4 and (got == expected or margin < 1e-4)
    print("ok  " if ok else "FAIL", "  ".join(f"{k}: {v:.2e}" if isinstance(v, float) else f"{k}: {v}" for k, v in row.items()))
    return ok


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        results = [compare(sys.argv[1], folder, 100) for folder in sys.argv[2:]]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not all(results))
