"""A model folder (config.json, *.safetensors) as a GGUF file for llama.cpp, with the same numbers: for `virga bench
engine` alone. Llama and Qwen2 shapes. Matrices are f32, bf16, Q8_0 or Q4_0, all of them, as virga's are; vectors f32.

    python to_gguf.py FOLDER f32|bf16|int8|int4 OUT.gguf
"""

import json
import os
import pathlib
import struct
import sys

import gguf
import numpy

TYPES = {
    "f32": gguf.GGMLQuantizationType.F32,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "int8": gguf.GGMLQuantizationType.Q8_0,
    "int4": gguf.GGMLQuantizationType.Q4_0,
}
LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OUTER = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def tensors(folder):
    """(name, f32 array) of every tensor, one at a time."""
    for file in sorted(folder.glob("*.safetensors")):
        with open(file, "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
            start = f.tell()
            for name, t in header.items():
                if name == "__metadata__":
                    continue
                begin, end = t["data_offsets"]
                f.seek(start + begin)
                raw = f.read(end - begin)
                if t["dtype"] == "BF16":
                    x = (numpy.frombuffer(raw, numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)
                elif t["dtype"] == "F32":
                    x = numpy.frombuffer(raw, numpy.float32)
                else:
                    sys.exit(f"{file}: {name} is {t['dtype']}; only F32 and BF16 are read")
                yield name, x.reshape(t["shape"])


def gguf_name(name):
    if name in OUTER:
        return OUTER[name]
    _, _, layer, rest = name.split(".", 3)
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER[stem]}.{kind}"


def for_llama(x, heads):
    """llama.cpp turns neighbours where the folder turns halves."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def write(folder, kind, out):
    config = json.loads((folder / "config.json").read_text())
    arch = config["model_type"]
    if arch not in ("llama", "qwen2"):
        sys.exit(f"{folder}: model_type {arch} is none that this writes (llama, qwen2)")
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    w = gguf.GGUFWriter(out, arch)
    w.add_block_count(config["num_hidden_layers"])
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    w.add_rope_dimension_count(head_dim)
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_rope_freq_base(config["rope_theta"])
    w.add_vocab_size(config["vocab_size"])
    w.add_tokenizer_model("no_vocab")
    for name, x in tensors(folder):
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            x = for_llama(x, heads if "q_proj" in name else kv_heads)
        if x.ndim == 2:
            w.add_tensor(gguf_name(name), gguf.quants.quantize(numpy.ascontiguousarray(x), TYPES[kind]), raw_dtype=TYPES[kind])
        else:
            w.add_tensor(gguf_name(name), numpy.ascontiguousarray(x, numpy.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[2] not in TYPES:
        sys.exit(__doc__)
    unfinished = sys.argv[3] + f".{os.getpid()}"
    write(pathlib.Path(sys.argv[1]), sys.argv[2], unfinished)
    os.replace(unfinished, sys.argv[3])
