#!/usr/bin/env python3
"""Writes random model folders of every family and option for compare_folder.py: python make_random_folders.py OUT COUNT [SEED]

Shapes, biases, windows, rope scalings, dtypes, shards and the spelling of config.json are drawn at random. Needs torch
and transformers; not run by the test suite.
"""
import json
import pathlib
import random
import shutil
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM


def rope(r, theta, context):
    kind = r.choice(["default", "default", "linear", "dynamic", "llama3", "yarn"])
    out = {"rope_type": kind, "rope_theta": theta}
    if kind in ("linear", "dynamic"):
        out["factor"] = r.choice([2.0, 4.0, 8.0])
    if kind == "llama3":
        out.update(factor=r.choice([8.0, 32.0]), low_freq_factor=1.0, high_freq_factor=r.choice([2.0, 4.0]),
                   original_max_position_embeddings=r.choice([32, 64, context // 2]))
    if kind == "yarn":
        out.update(factor=r.choice([2.0, 4.0]), original_max_position_embeddings=r.choice([32, 64, context // 2]))
        if r.random() < 0.3:
            out.update(beta_fast=16.0, beta_slow=2.0)
        if r.random() < 0.3:
            out["attention_factor"] = 1.2
        if r.random() < 0.3:
            out["truncate"] = False
        if r.random() < 0.2:
            out.update(mscale=1.0, mscale_all_dim=0.8)
    return out


def draw(r):
    kv = r.choice([1, 2, 3])
    heads = kv * r.choice([1, 2, 4])
    dim = r.choice([8, 10, 16])
    family = r.choice(["llama", "mistral", "qwen2", "qwen3"])
    hidden = heads * (dim if family == "qwen2" else r.choice([4, 6, 8, 10]))  # transformers wants a multiple of heads
    context = r.choice([256, 512])
    c = dict(vocab_size=r.randrange(60, 200), hidden_size=hidden, intermediate_size=r.choice([40, 64, 100]),
             num_hidden_layers=r.choice([1, 2, 3, 4]), num_attention_heads=heads, num_key_value_heads=kv,
             max_position_embeddings=context, rms_norm_eps=r.choice([1e-5, 1e-6]), tie_word_embeddings=r.random() < 0.4,
             rope_parameters=rope(r, r.choice([1e4, 5e5, 1e6]), context), bos_token_id=1, eos_token_id=r.choice([2, [2, 3]]))
    if family != "qwen2":
        c["head_dim"] = dim
    if family == "llama":
        c.update(attention_bias=r.random() < 0.4, mlp_bias=r.random() < 0.4)
    if family == "mistral":
        c["sliding_window"] = r.choice([None, 7, 16, 40])
    if family in ("qwen2", "qwen3"):
        c.update(use_sliding_window=r.random() < 0.5, sliding_window=r.choice([9, 24]), max_window_layers=r.choice([0, 1, 2]))
    if family == "qwen3":
        c["attention_bias"] = r.random() < 0.4
    return family, c


def randomise(model, r):
    torch.manual_seed(r.randrange(1 << 30))
    for name, p in model.named_parameters():
        if "norm" in name:
            p.data = 1 + 0.2 * torch.randn_like(p)
        elif "bias" in name:
            p.data = 0.3 * torch.randn_like(p)
        else:
            p.data = torch.randn_like(p) * 1.2 / p.shape[-1] ** 0.5


def spell_as_version_4(file):
    c = json.loads(file.read_text())
    rope = c.pop("rope_parameters")
    c["rope_theta"] = rope.pop("rope_theta")
    c["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    c["torch_dtype"] = c.pop("dtype")
    c.pop("layer_types", None)
    file.write_text(json.dumps(c, indent=2) + "\n")


def make(folder, r):
    family, c = draw(r)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **c)).eval()
    randomise(model, r)
    dtype = r.choice([torch.float32, torch.bfloat16, torch.float16])
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder, max_shard_size=r.choice(["5GB", "20KB"]))
    old = r.random() < 0.4
    if old:
        spell_as_version_4(folder / "config.json")
    print(folder.name, family, dtype, "version 4" if old else "version 5", json.dumps(c))


if __name__ == "__main__":
    out, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    start = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    for seed in range(start, start + count):
        make(out / f"random-{seed}", random.Random(seed))
