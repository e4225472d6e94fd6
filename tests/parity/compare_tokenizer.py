#!/usr/bin/env python3
"""Compares `virga tokenize` with the tokenizers library on folders: python compare_tokenizer.py VIRGA TEXTS DIR...

TEXTS random texts (mixtures of scripts, emoji, white space, code, and the tokenizer's own tokens) for each folder: ids with
special tokens as text and parsed, with and without the post-processor's; then random ids to text. Needs tokenizers; not run by
the test suite.
"""
import json
import random
import subprocess
import sys
import unicodedata

from tokenizers import Tokenizer

RANGES = [(0x20, 0x7e), (0x20, 0x7e), (0x20, 0x7e), (0xa0, 0x24f), (0x300, 0x36f), (0x370, 0x52f), (0x5d0, 0x6ff), (0x900, 0xd7f),
          (0xe00, 0xe5b), (0x1100, 0x11ff), (0x2000, 0x206f), (0x2190, 0x2bff), (0x3040, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3),
          (0xfe00, 0xfe0f), (0xff00, 0xffef), (0x1f300, 0x1faff), (0x1f1e6, 0x1f1ff), (0x1d400, 0x1d7ff), (9, 13), (0x20, 0x20)]
WORDS = ("the and of rain cloud don't I'll THEY'RE we've 12345 3.14 def return for(i=0;i<n;++i){ } https://a.b/c?d=e \n \n\n \t    "
         "  Größe naïve приве́т 你好 안녕 नमस्ते שלום 🙂 👩‍👩‍👧 ______ ----- ===== ... e\u0301 \u200b ﬁ Ⅷ ½").split(" ")


def text_of(rng, special):
    out = []
    for _ in range(rng.randint(0, 25)):
        kind = rng.random()
        if kind < 0.4:
            out.append(rng.choice(WORDS))
        elif kind < 0.5 and special:
            out.append(rng.choice(special))
        else:
            low, high = rng.choice(RANGES)
            letters = [chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8))]
            out.extend(c for c in letters if unicodedata.category(c) not in ("Cn", "Cs"))
        out.append(rng.choice(["", "", " ", " ", "  ", "\n"]))
    return "".join(out)


def ask(virga, folder, text, *more):
    done = subprocess.run([virga, "tokenize", "--model", folder, "--json", *more], input=text.encode(), capture_output=True)
    if done.returncode != 0:
        return done.stderr.decode()
    return json.loads(done.stdout)


def compare(virga, folder, count):
    tok = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tok.no_truncation()
    tok.no_padding()
    rng = random.Random(3)
    special = [t.content for t in tok.get_added_tokens_decoder().values()]
    vocab = [i for i in tok.get_vocab().values()]
    wrong = 0
    for i in range(count):
        text = text_of(rng, special)
        for parse in (False, True):
            tok.encode_special_tokens = not parse
            for add in (False, True):
                expected = tok.encode(text, add_special_tokens=add).ids
                got = ask(virga, folder, text, *(["--parse-special"] if parse else []), *([] if add else ["--no-special"]))
                if not isinstance(got, dict) or got["ids"] != expected:
                    wrong += 1
                    if wrong < 6:
                        print(f"  {text!r} parse={parse} add={add}:\n    {got}\n    expected {expected}")
        ids = [rng.choice(vocab) for _ in range(rng.randint(1, 30))]
        for skip in (False, True):
            expected = tok.decode(ids, skip_special_tokens=skip)
            got = ask(virga, folder, json.dumps(ids), "--decode", *(["--skip-special"] if skip else []))
            if not isinstance(got, dict) or got["text"] != expected:
                wrong += 1
                if wrong < 6:
                    print(f"  {ids} skip={skip}:\n    {got!r}\n    expected {expected!r}")
    print(f"{folder}: {count} texts and as many lists of ids, {wrong} differ")
    return wrong


if __name__ == "__main__":
    sys.exit(sum(compare(sys.argv[1], folder, int(sys.argv[2])) for folder in sys.argv[3:]) > 0)
