#!/usr/bin/env python3
"""Writes tests/parity/fixtures: tiny random Llama models and what transformers computes with them.

Made with torch 2.11.0, transformers 5.23.0, tokenizers 0.23.3, numpy 2.4.6, safetensors 0.8.0. Run: python make_fixtures.py
The C++ tests read the fixtures and never run this script.

Each fixture is a Hugging Face folder, and beside it NAME.expected.safetensors with
  prompt        f64 [tokens]          token ids
  logits_f64    f64 [tokens, vocab]   a double model whose norm, softmax and rotary embedding compute in f64: stock
                                      transformers computes these three in f32 even in a double model
  logits_f32    f32 [tokens, vocab]   the stock library in f32
  greedy        f64 [64]              the stock library's greedy continuation in f32
tokenizer.expected.json holds texts and what the tokenizers library makes of them.
"""
import json
import pathlib

import torch
import transformers.models.llama.modeling_llama as llama
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent / "fixtures"
PROMPT, ANSWER = 80, 64

FIXTURES = {
    # Six query heads on two key heads, heads wider than hidden / heads, untied, f32 weights.
    "gqa-untied": dict(seed=11, dtype=torch.float32, config=dict(
        vocab_size=101, hidden_size=48, intermediate_size=72, num_hidden_layers=4, num_attention_heads=6,
        num_key_value_heads=2, head_dim=10, rms_norm_eps=1e-5, tie_word_embeddings=False, rope_theta=500000.0)),
    # One key head per query head, tied, weights that bf16 holds exactly, config.json in the spelling of version 4.
    "mha-tied": dict(seed=5, dtype=torch.bfloat16, config=dict(
        vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, rms_norm_eps=1e-6, tie_word_embeddings=True, rope_theta=10000.0)),
}


def norm_f64(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def rotary_f64(self, x, position_ids):
    dim = self.config.head_dim
    frequency = 1.0 / self.config.rope_parameters["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = position_ids[..., None].double() * frequency
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


def attention_f64(module, query, key, value, attention_mask, scaling, dropout=0.0, **kwargs):
    key = llama.repeat_kv(key, module.num_key_value_groups)
    value = llama.repeat_kv(value, module.num_key_value_groups)
    score = torch.matmul(query, key.transpose(2, 3)) * scaling + attention_mask
    weight = torch.softmax(score, dim=-1, dtype=torch.float64)
    return torch.matmul(weight, value).transpose(1, 2).contiguous(), weight


def logits_f64(model, prompt):
    stock = llama.LlamaRMSNorm.forward, llama.LlamaRotaryEmbedding.forward, llama.eager_attention_forward
    llama.LlamaRMSNorm.forward, llama.LlamaRotaryEmbedding.forward = norm_f64, rotary_f64
    llama.eager_attention_forward = attention_f64
    out = model.double()(prompt).logits[0]
    llama.LlamaRMSNorm.forward, llama.LlamaRotaryEmbedding.forward, llama.eager_attention_forward = stock
    assert out.dtype == torch.float64
    return out


def make_model(seed, dtype, config):
    torch.manual_seed(seed)
    theta = config.pop("rope_theta")
    model = LlamaForCausalLM(LlamaConfig(
        **config, max_position_embeddings=512, bos_token_id=1, eos_token_id=2, attn_implementation="eager",
        rope_parameters={"rope_type": "default", "rope_theta": theta}))
    for name, p in model.named_parameters():
        # Large enough that attention and logits are far from uniform; larger q and k make f32 itself imprecise.
        spread = 0.2 if "norm" in name else 1.0 / p.shape[-1] ** 0.5 * (1.0 if "q_proj" in name or "k_proj" in name else 1.2)
        p.data = (torch.randn_like(p) * spread + (1.0 if "norm" in name else 0.0)).to(dtype).float()
    return model.eval()


def spell_as_version_4(file):
    c = json.loads(file.read_text())
    c["rope_theta"] = c.pop("rope_parameters")["rope_theta"]
    c["torch_dtype"] = c.pop("dtype")
    c["rope_scaling"] = None
    c["transformers_version"] = "4.46.0"
    file.write_text(json.dumps(c, indent=2) + "\n")


def greedy(model, prompt):
    ids, margin = prompt[0].tolist(), 1e9
    for _ in range(ANSWER):
        top = model(torch.tensor([ids])).logits[0, -1].topk(2)
        margin = min(margin, float(top.values[0] - top.values[1]))
        ids.append(int(top.indices[0]))
    assert margin > 1e-3, f"choose another seed: smallest margin {margin}"
    return ids[PROMPT:]


def make_fixture(name, seed, dtype, config):
    model = make_model(seed, dtype, config)
    prompt = torch.randint(3, config["vocab_size"], (1, PROMPT))
    prompt[0, 0] = 1
    expected = {"prompt": prompt[0].double(), "logits_f32": model(prompt).logits[0].contiguous()}
    expected["greedy"] = torch.tensor(greedy(model, prompt), dtype=torch.float64)
    model.to(dtype).save_pretrained(HERE / name)
    if dtype == torch.bfloat16:
        spell_as_version_4(HERE / name / "config.json")
    expected["logits_f64"] = logits_f64(model, prompt).contiguous()
    save_file(expected, HERE / f"{name}.expected.safetensors")
    print(name, "largest logit", float(expected["logits_f64"].abs().max()),
          "f32 against f64", float((expected["logits_f64"] - expected["logits_f32"]).abs().max()),
          "different tokens in the answer", len(set(expected["greedy"].tolist())))


def make_tokenizer():
    words = ["<unk>", "<bos>", "<eos>", "der", "Regen", "fällt", "雨", "<mark>", "a", "b", ".", "ab"]
    tok = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tok.add_special_tokens(["<unk>", "<bos>", "<eos>"])
    tok.add_tokens(["<mark>"])
    tok.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    folder = HERE / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    tok.save(str(folder / "tokenizer.json"))
    texts = ["der Regen fällt .", "  der\tRegen\nfällt\u00a0雨\u3000a\u2003b ", "", " ", "ab", "nichts der", "a<mark>b",
             "<mark><mark> a", "der\u200bRegen", "der\u0085Regen\u2028a\u001cb", "Ab AB ab"]
    cases = []
    for text in texts:
        ids = tok.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "with_special": tok.encode(text).ids, "decoded": tok.decode(ids)})
    (HERE / "tokenizer.expected.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        for name, how in FIXTURES.items():
            make_fixture(name, **how)
    make_tokenizer()
