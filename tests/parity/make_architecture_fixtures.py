#!/usr/bin/env python3
"""Writes tests/parity/fixtures/architectures: a tiny random model for each option that a config.json of Llama, Mistral,
Qwen2 and Qwen3 can have, and beside it NAME.expected.safetensors with what transformers computes:
  prompt        f64 [80]          token ids; longer than the windows and than the original contexts of the rope scalings
  logits_f64    f64 [16, vocab]   the last 16 rows of a double model whose norm, softmax and rotary embedding compute in f64
  logits_f32    f32 [16, vocab]   the same rows of the stock library in f32
  greedy        f64 [64]          the stock library's greedy continuation in f32

Made with torch 2.11.0, transformers 5.23.0, safetensors 0.8.0. Run: python make_architecture_fixtures.py
"""
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from compare_folder import everything_in_f64, greedy
from make_random_folders import spell_as_version_4

HERE = pathlib.Path(__file__).parent / "fixtures/architectures"
PROMPT, ROWS, CONTEXT = 80, 16, 160

SHAPE = dict(vocab_size=96, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=CONTEXT, bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-5)


def rope(kind, **more):
    return {"rope_type": kind, "rope_theta": 10000.0, **more}


LLAMA3 = rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
YARN = rope("yarn", factor=4.0, original_max_position_embeddings=40)
# name: (seed, family, dtype of the file, config.json spelled as version 4, further config)
ARCHITECTURES = {
    "llama2": (1, "llama", torch.float16, True, dict(num_key_value_heads=4)),
    "llama3-rope": (2, "llama", torch.bfloat16, False, dict(rope_parameters=LLAMA3)),
    "llama3-rope-v4": (3, "llama", torch.bfloat16, True, dict(rope_parameters=LLAMA3, tie_word_embeddings=True)),
    "llama-linear": (4, "llama", torch.bfloat16, True, dict(rope_parameters=rope("linear", factor=4.0))),
    "llama-dynamic": (5, "llama", torch.bfloat16, False, dict(rope_parameters=rope("dynamic", factor=2.0))),
    "llama-yarn": (6, "llama", torch.bfloat16, False, dict(rope_parameters=YARN | dict(beta_fast=16.0, truncate=False))),
    "llama-biases": (7, "llama", torch.float32, False, dict(attention_bias=True, mlp_bias=True, head_dim=10)),
    "mistral-window": (8, "mistral", torch.bfloat16, False, dict(sliding_window=24)),
    "mistral-full": (9, "mistral", torch.bfloat16, True, dict(sliding_window=None, head_dim=12)),
    "qwen2": (10, "qwen2", torch.bfloat16, True, dict(tie_word_embeddings=True)),
    "qwen2-window": (11, "qwen2", torch.bfloat16, True, dict(use_sliding_window=True, sliding_window=20, max_window_layers=1)),
    "qwen2-yarn": (12, "qwen2", torch.bfloat16, False, dict(rope_parameters=YARN)),
    "qwen3": (13, "qwen3", torch.bfloat16, False, dict(head_dim=16, tie_word_embeddings=True)),
    "qwen3-biases": (14, "qwen3", torch.bfloat16, False,
                     dict(head_dim=8, attention_bias=True, use_sliding_window=True, sliding_window=16, max_window_layers=1)),
}


def make_model(seed, family, dtype, more):
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, **SHAPE | more)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for name, p in model.named_parameters():
        spread = 0.2 if "norm" in name or "bias" in name else 1.2 / p.shape[-1] ** 0.5
        p.data = (torch.randn_like(p) * spread + (1.0 if "norm" in name else 0.0)).to(dtype).float()
    return model


def make(name, seed, family, dtype, old, more):
    for attempt in range(seed, 2000, 20):  # until no two tokens are too close to call in f32
        model = make_model(attempt, family, dtype, more)
        prompt = torch.randint(3, SHAPE["vocab_size"], (1, PROMPT))
        answer, margin = greedy(model, prompt[0].tolist())
        if margin > 1e-3:
            break
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder)
    if old:
        spell_as_version_4(folder / "config.json")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    expected = {"prompt": prompt[0].double(), "greedy": torch.tensor(answer).double(),
                "logits_f32": model(prompt).logits[0, -ROWS:].contiguous()}
    model = model.double()
    with everything_in_f64():
        model.model.rotary_emb = type(model.model.rotary_emb)(config=model.config)
        expected["logits_f64"] = model(prompt).logits[0, -ROWS:].contiguous()
    save_file(expected, HERE / f"{name}.expected.safetensors")
    print(name, "seed", attempt, "f32 against f64", float((expected["logits_f64"] - expected["logits_f32"]).abs().max()),
          "different tokens in the answer", len(set(answer)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    HERE.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for name, how in ARCHITECTURES.items():
            make(name, *how)
