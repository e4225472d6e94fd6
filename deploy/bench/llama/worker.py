"""llama.cpp's side of `virga bench engine`: one model, one variant, commands on standard input, one answer a line.

    python worker.py FILE.gguf THREADS CONTEXT fa|plain|no-mmap

    prefill N   seconds of a new sequence's prompt, its logits copied and its first token chosen
    decode N    seconds of N tokens more
    logits FILE after the tokens 1, 2, 3 more, as f32
"""

import ctypes
import sys
import time

import llama_cpp
import numpy


class Worker:
    def __init__(self, path, threads, context, variant):
        llama_cpp.llama_log_set(self.quiet, None)
        llama_cpp.llama_backend_init()
        m = llama_cpp.llama_model_default_params()
        m.use_mmap = variant != "no-mmap"
        self.model = llama_cpp.llama_load_model_from_file(path.encode(), m)
        if not self.model:
            sys.exit(f"llama.cpp cannot load {path}")
        c = llama_cpp.llama_context_default_params()
        c.n_ctx, c.n_batch, c.n_ubatch, c.n_threads, c.n_threads_batch = context, 2048, 512, threads, threads
        c.flash_attn_type = (
            llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED if variant == "plain" else llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
        )
        self.context = llama_cpp.llama_new_context_with_model(self.model, c)
        if not self.context:
            sys.exit(f"llama.cpp cannot make a context of {context}")
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.token = 0

    @llama_cpp.llama_log_callback
    def quiet(level, text, _):
        if level == 4:  # errors
            sys.stderr.write(text.decode(errors="replace"))

    def step(self, ids):
        for first in range(0, len(ids), 2048):
            some = ids[first : first + 2048]
            array = (llama_cpp.llama_token * len(some))(*some)
            if llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(array, len(some))) != 0:
                sys.exit("llama.cpp cannot run this step")
        at = ctypes.cast(llama_cpp.llama_get_logits_ith(self.context, -1), ctypes.POINTER(ctypes.c_float * self.vocab))
        return numpy.frombuffer(at.contents, numpy.float32).copy()

    def prefill(self, count):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        ids = [i * 7919 % self.vocab for i in range(int(count))]
        begun = time.perf_counter()
        self.token = int(self.step(ids).argmax())
        return time.perf_counter() - begun

    def decode(self, count):
        begun = time.perf_counter()
        for _ in range(int(count)):
            self.token = int(self.step([self.token]).argmax())
        return time.perf_counter() - begun

    def logits(self, path):
        self.step([1, 2, 3]).tofile(path)
        return 0


if __name__ == "__main__":
    worker = Worker(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    print("ready", flush=True)
    for line in sys.stdin:
        command, argument = line.split(maxsplit=1)
        print(getattr(worker, command)(argument.strip()), flush=True)
