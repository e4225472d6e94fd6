#!/usr/bin/env python3
"""Writes tests/parity/fixtures/families: one random model of each family as a whole folder, as transformers saves it, with
a tokenizer and a chat template of that family's form; and families/expected.json: chats, their ids, and what
transformers answers greedily in f32. deploy/manifests/families.yaml serves them.

Made with torch 2.11.0, transformers 5.23.0, tokenizers 0.23.3. Run: python make_family_fixtures.py
"""
import json
import pathlib
import shutil

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast,
                          Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

HERE = pathlib.Path(__file__).parent / "fixtures/families"
ANSWER, MARGIN = 32, 3e-3

TEXT = """A virga is rain that hangs from a cloud and is finished on its way down. The edge is near, cheap and weak; the
cloud is far, good and dear. Ein Satz auf Deutsch mit Umlauten: über, größer, süß. Une phrase en français: déjà vu, naïve.
for (int i = 0; i < 10; ++i) { sum += values[i] * 2; }  // 12345 67890
What is the capital of France? The capital of France is Paris. You are a helpful assistant. Who are you? I'm the one.
"""

CHATS = [
    [{"role": "user", "content": "What is a virga?"}],
    [{"role": "user", "content": "Où est  le café ? ☕🙂\n\tif (x < 3) { y = 12345; }"}],
    [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "I'm the edge."},
     {"role": "user", "content": "And the cloud?"}],
]
SYSTEM_CHAT = [{"role": "system", "content": "You answer briefly."}, {"role": "user", "content": "Is rain near?"}]

LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")

HEADERS = """{{ bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""
INST = """{{- bos_token }}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate: user, assistant, user, ...') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {{- ' [INST] ' + message['content'] + ' [/INST]' }}
    {%- else %}
        {{- ' ' + message['content'] + eos_token }}
    {%- endif %}
{%- endfor %}
"""
CHATML = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
{%- else %}
    {{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""
THINKING = """{%- set ns = namespace(searching=true, last=messages | length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == 'user' %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if '</think>' in content and loop.index0 < ns.last %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is not defined or enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""


def byte_level(split, special, more=(), nfc=False):
    tok = Tokenizer(models.BPE())
    if nfc:
        tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False))
    tok.add_special_tokens([AddedToken(t, special=True) for t in special])
    tok.add_tokens([AddedToken(t, special=False) for t in more])
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    return tok


def llama_tokenizer():
    tok = byte_level(LLAMA3_SPLIT, ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                                    "<|eot_id|>"])
    bos = tok.token_to_id("<|begin_of_text|>")
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)])])
    return tok, dict(bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", chat_template=HEADERS)


def mistral_tokenizer():
    special = ["<unk>", "<s>", "</s>"]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    learner.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=120, show_progress=False))
    learnt = json.loads(learner.to_str())["model"]
    vocab = {t: i for i, t in enumerate(special + [f"<0x{b:02X}>" for b in range(256)])}
    for t, _ in sorted(learnt["vocab"].items(), key=lambda item: item[1]):
        vocab.setdefault(t, len(vocab))
    tok = Tokenizer(models.BPE(vocab, [tuple(m) for m in learnt["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(" ", 1, 0)])
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tok, dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=INST)


def qwen2_tokenizer():
    tok = byte_level(QWEN_SPLIT, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], nfc=True)
    return tok, dict(eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHATML)


def qwen3_tokenizer():
    tok = byte_level(QWEN_SPLIT, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ["<think>", "</think>"], nfc=True)
    return tok, dict(eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=THINKING)


SHAPE = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=512, rms_norm_eps=1e-5, attn_implementation="eager")
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64}
FAMILIES = {
    "llama": (1, llama_tokenizer, LlamaForCausalLM, LlamaConfig, dict(rope_parameters=LLAMA3_ROPE, dtype="bfloat16")),
    "mistral": (2, mistral_tokenizer, MistralForCausalLM, MistralConfig, dict(sliding_window=24, head_dim=16, dtype="bfloat16")),
    "qwen2": (3, qwen2_tokenizer, Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=True)),
    "qwen3": (4, qwen3_tokenizer, Qwen3ForCausalLM, Qwen3Config, dict(head_dim=16, dtype="float16")),
}


def make_model(seed, cls, config, tok, special, more):
    torch.manual_seed(seed)
    eos = tok.token_to_id(special["eos_token"])
    bos = tok.token_to_id(special["bos_token"]) if "bos_token" in special else None
    dtype = more.pop("dtype", "float32")
    model = cls(config(**SHAPE, **more, vocab_size=tok.get_vocab_size(), bos_token_id=bos, eos_token_id=eos))
    for name, p in model.named_parameters():
        spread = 0.2 if "norm" in name or "bias" in name else 1.4 / p.shape[-1] ** 0.5
        if "embed" in name and model.config.tie_word_embeddings:
            spread *= 0.2  # else each token predicts itself
        p.data = (torch.randn_like(p) * spread + (1.0 if "norm" in name else 0.0)).to(getattr(torch, dtype)).float()
    return model.eval(), getattr(torch, dtype), eos


def answer(model, ids, eos):
    start = len(ids)
    for _ in range(ANSWER):
        top = model(torch.tensor([ids])).logits[0, -1].topk(2)
        assert top.values[0] - top.values[1] > MARGIN, "choose another seed: two tokens are too close"
        ids = ids + [int(top.indices[0])]
        if ids[-1] == eos:
            return ids[start:-1], "stop"
    return ids[start:], "length"


def make_family(name, seed, make_tokenizer, cls, config, more):
    tok, special = make_tokenizer()
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=tok, clean_up_tokenization_spaces=False, **special)
    for attempt in range(seed, 1000, 10):
        try:
            model, dtype, eos = make_model(attempt, cls, config, tok, special, dict(more))
            cases = []
            for messages in CHATS + ([] if name == "mistral" else [SYSTEM_CHAT]):
                text = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
                ids = tok.encode(text, add_special_tokens=False).ids
                got, why = answer(model, ids, eos)
                assert len(set(got)) >= 8, "choose another seed: a monotonous answer"
                cases.append({"messages": messages, "text": text, "ids": ids, "answer_ids": got,
                              "answer": tok.decode(got), "finish_reason": why})
            break
        except AssertionError:
            continue
    model.to(dtype).save_pretrained(folder)
    fast.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tok.to_str()), ensure_ascii=False) + "\n")
    print(name, "seed", attempt, [c["finish_reason"] for c in cases], repr(cases[0]["answer"]))
    return cases


if __name__ == "__main__":
    torch.set_num_threads(1)
    HERE.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        expected = {name: make_family(name, *how) for name, how in FAMILIES.items()}
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
