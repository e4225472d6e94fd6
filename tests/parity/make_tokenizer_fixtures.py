#!/usr/bin/env python3
"""Writes tests/parity/fixtures/tokenizers: a small tokenizer.json of each form that Llama, Mistral and Qwen use, and
expected.json: what the tokenizers library makes of a corpus of many languages, emoji, white space, code and marks, with and
without special tokens, and of random ids, many of them no UTF-8. The tokenizers of fixtures/families are asked as well.

Made with tokenizers 0.23.3. Run: python make_tokenizer_fixtures.py
"""
import json
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import make_family_fixtures as families

HERE = pathlib.Path(__file__).parent / "fixtures/tokenizers"
TEKKEN_SPLIT = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
                r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<unk>", "<s>", "</s>"]

CORPUS = [
    "", " ", "  ", "a", " a", "a ", "  a  b   c    ", "\n", "\n\n \n", "\t\tx\r\ny\r", "Hello, world!", "don't I'LL we've THEY'RE 'S 'ſ",
    "The year 2026: 12345678 3.14159 ١٢٣ ४५६ ⅷ ½ ²", "naïve café déjà-vu Größe ÆØÅ ǅ İstanbul ﬁ ﬆ",
    "e\u0301 a\u0308\u0323 \u1e9b\u0323 \ud55c\u1100\u1161 A\u030a \u212b \u0344",
    "Привет, мир! Съешь ещё этих мягких французских булок.", "Ελληνικά: ὦ ἄνδρες", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया, क्या हाल है?",
    "สวัสดีชาวโลก", "你好，世界！《雨》下了三天。", "こんにちは世界、ﾊﾝｶｸ カタカナ", "안녕하세요 세계", "Xin chào thế giới", "தமிழ் வணக்கம்",
    "🙂", "☕🙂👩‍👩‍👧‍👦🏳️‍🌈🇩🇪👍🏽", "a🙂b ❤️ ♥", "\u200b\u200c\u200d\u2060\ufeff", "a\u00a0b\u2003c\u3000d\u1680e\u180ef\u2028g\u2029h\u0085i",
    "for (int i = 0; i < 10; ++i) {\n    sum += values[i] * 2;  // double\n}\n", "def f(x):\n\treturn x**2 if x else None\n\n\n",
    "SELECT * FROM t WHERE a='b' -- c", "<div class=\"x\">&amp;</div>", "C:\\dir\\file.txt /usr/bin/env ./a.out", "a\x00b\x01c\x7f",
    "https://example.org/a?b=c&d=%20#e", "x" * 70, "ab" * 60 + " " * 40 + "\n" * 9, "=" * 33 + "-" * 17, "!?!?...,,,;;;", "_a__b___", "1,000,000.00",
    "<s>", "</s><s> <s>x</s>", "<unk>", "a<s>b </s> c", "<|eot_id|> x <|im_start|>user\n<|im_end|>", "<think>\nhm\n</think>\n\n", "▁a▁▁b ▁", "a▁b",
    "<0x41> <0xE2>", "[INST] hi [/INST]", "<mark> x<mark>y <mark>", "<m> a <m>b", "word wordy aword word", "<ł>Ń\u0301<ł>",
]


def learnt(pre, size, alphabet=()):
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre
    learner.train_from_iterator([families.TEXT], trainers.BpeTrainer(vocab_size=size, initial_alphabet=list(alphabet),
                                                                     show_progress=False))
    return json.loads(learner.to_str())["model"]


def spm_model(pre, **more):
    model = learnt(pre, 130)
    vocab = {t: i for i, t in enumerate(SPECIAL + [f"<0x{b:02X}>" for b in range(256)])}
    for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1]):
        vocab.setdefault(t, len(vocab))
    return models.BPE(vocab, [tuple(m) for m in model["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True, **more)


def spm_decoder(tok):
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(" ", 1, 0)])


def with_bos(tok, bos="<s>"):
    tok.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tok.token_to_id(bos))])


def llama2(normalized):
    """The older form: a normalizer puts the marks. `normalized` special tokens are found behind it."""
    tok = Tokenizer(spm_model(pre_tokenizers.Metaspace(prepend_scheme="first", split=True)))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    spm_decoder(tok)
    tok.add_special_tokens([AddedToken(t, special=True, normalized=normalized) for t in SPECIAL])
    with_bos(tok)
    return tok


def metaspace(scheme, split):
    tok = Tokenizer(spm_model(pre_tokenizers.Metaspace(prepend_scheme=scheme, split=True)))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    tok.decoder = decoders.Metaspace(prepend_scheme=scheme, split=split)
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tok.add_tokens([AddedToken("<mark>", lstrip=True, rstrip=True), AddedToken("word", single_word=True)])
    with_bos(tok)
    return tok


def unknown(fuse):
    """No bytes to fall back to."""
    model = learnt(pre_tokenizers.Whitespace(), 90)
    tok = Tokenizer(models.BPE({**model["vocab"], "<unk>": len(model["vocab"])}, [tuple(m) for m in model["merges"]],
                               unk_token="<unk>", fuse_unk=fuse))
    tok.normalizer = normalizers.NFKC() if fuse else normalizers.NFD()
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=fuse),
                                                 pre_tokenizers.Punctuation("isolated" if fuse else "contiguous")])
    tok.add_special_tokens([AddedToken("<unk>", special=True)])
    tok.add_tokens([AddedToken("<m>", normalized=True, lstrip=not fuse, rstrip=fuse), AddedToken("<ł>", normalized=fuse)])
    return tok


def gpt2():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator([families.TEXT], trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    tok.add_special_tokens([AddedToken("<s>", special=True), AddedToken("</s>", special=True, lstrip=True)])
    tok.post_processor = processors.ByteLevel(trim_offsets=True)
    return tok


def tekken():
    tok = families.byte_level(TEKKEN_SPLIT, SPECIAL)
    model = json.loads(tok.to_str())
    model["model"]["ignore_merges"] = True
    vocab = model["model"]["vocab"]
    vocab["Ġcapital"] = 600  # no merge leads there
    tok = Tokenizer.from_str(json.dumps(model))
    with_bos(tok)
    return tok


def splits():
    """One Split of each behaviour."""
    tok = families.byte_level(r"\s+", SPECIAL)
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\d\d"), "contiguous"), pre_tokenizers.Split(" ", "merged_with_next"),
        pre_tokenizers.Split(Regex("[.!]"), "merged_with_previous"), pre_tokenizers.Split(Regex(r"[\w'<>|/]+"), "isolated", True),
        pre_tokenizers.Split("=", "removed"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tok


MADE = {"llama2": llama2(False), "llama2-normalized": llama2(True), "metaspace-always": metaspace("always", True),
        "metaspace-first": metaspace("first", False), "metaspace-never": metaspace("never", True), "unknown-fused": unknown(True),
        "unknown": unknown(False), "gpt2": gpt2(), "tekken": tekken(), "splits": splits()}


def cases(name, tok):
    vocab = max(tok.get_vocab().values()) + 1
    rng = random.Random(7)
    known = [i for i in range(vocab) if tok.id_to_token(i) is not None]
    sets = [[rng.choice(known) for _ in range(rng.randint(1, 40))] for _ in range(40)]
    tok.encode_special_tokens = False
    parsed = [(tok.encode(t, add_special_tokens=False).ids, tok.encode(t).ids) for t in CORPUS]
    tok.encode_special_tokens = True
    kept = [tok.encode(t, add_special_tokens=False).ids for t in CORPUS]
    tok.encode_special_tokens = False
    if name == "tokenizers/llama2-normalized":  # the library forgets that these tokens are special once it decodes them
        sets = []
    return {"kept": kept, "parsed": [p[0] for p in parsed], "with_special": [p[1] for p in parsed],
            "decoded": [tok.decode(p) for p in kept],
            "random": [{"ids": s, "text": tok.decode(s), "all": tok.decode(s, skip_special_tokens=False)} for s in sets]}


if __name__ == "__main__":
    HERE.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, tok in MADE.items():
        (HERE / name).mkdir(exist_ok=True)
        (HERE / name / "tokenizer.json").write_text(json.dumps(json.loads(tok.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
        expected[f"tokenizers/{name}"] = cases(f"tokenizers/{name}", tok)
    for name in families.FAMILIES:
        folder = f"families/{name}"
        expected[folder] = cases(folder, Tokenizer.from_file(str(HERE.parent / folder / "tokenizer.json")))
    (HERE / "expected.json").write_text(json.dumps({"corpus": CORPUS, "tokenizers": expected}, ensure_ascii=False,
                                                   separators=(",", ":")) + "\n")
