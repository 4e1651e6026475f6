"""llama.cpp through the low-level API of llama-cpp-python, set up as its own tools set it up.

    pip install --no-binary llama-cpp-python llama-cpp-python   (see README.md)

Used by compare.py, perplexity_llama.py, check_goldens_llama.py and check_adapters_llama.py. Run as a program it is the worker of
compare.py: it loads a model, then answers one JSON command per line of standard input. If it cannot load it, its only
line is {"refused": why}.
"""

import ctypes
import importlib.metadata
import json
import sys
import time

import llama_cpp as ll
import numpy as np

VERSION = "llama-cpp-python " + importlib.metadata.version("llama-cpp-python")
GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0 = 0, 1, 8


@ll.llama_log_callback
def _log_nothing(level, text, user_data):
    pass


class LlamaPeer:
    """A model with one context. Defaults are llama.cpp's: mmap, repacked weights, flash attention where it
    thinks fit, float16 keys and values. On a CPU only."""

    def __init__(self, path, context, threads, batch=2048, is_f32=False, is_repacked=True, is_q8=False):
        ll.llama_log_set(_log_nothing, ctypes.c_void_p(0))
        ll.llama_backend_init()
        model_params = ll.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model_params.use_extra_bufts = is_repacked
        self.model = ll.llama_model_load_from_file(str(path).encode(), model_params)
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp cannot load it")
        params = ll.llama_context_default_params()
        params.n_ctx = context
        params.n_batch = batch
        params.n_ubatch = min(512, batch)
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        if is_f32:  # for goldens: nothing rounded that need not be
            params.type_k = params.type_v = GGML_TYPE_F32
            params.flash_attn_type = ll.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if is_q8:
            params.type_k = params.type_v = GGML_TYPE_Q8_0
            params.flash_attn_type = ll.LLAMA_FLASH_ATTN_TYPE_ENABLED  # quantized values need it
        self.context = ll.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit(f"{path}: llama.cpp cannot make a context of {context}")
        self.vocab = ll.llama_model_get_vocab(self.model)
        self.vocab_size = ll.llama_vocab_n_tokens(self.vocab)
        self.batch = ll.llama_batch_init(batch, 0, 1)

    def use_adapter(self, path):
        adapter = ll.llama_adapter_lora_init(self.model, str(path).encode())
        if not adapter:
            raise SystemExit(f"{path}: llama.cpp cannot load this adapter")
        if ll.llama_set_adapters_lora(self.context, (ll.llama_adapter_lora_p_ctypes * 1)(adapter), 1, (ctypes.c_float * 1)(1)):
            raise SystemExit(f"{path}: llama.cpp cannot use this adapter")

    def system_info(self):
        return ll.llama_print_system_info().decode()

    def bos(self):
        """The token that every text starts with, or None where the model wants none."""
        has_bos = ll.llama_vocab_get_add_bos(self.vocab)
        return ll.llama_vocab_bos(self.vocab) if has_bos else None

    def tokenize(self, text, parse_special=False):
        data = text if isinstance(text, bytes) else text.encode()
        out = (ll.llama_token * (len(data) + 8))()
        count = ll.llama_tokenize(self.vocab, data, len(data), out, len(out), True, parse_special)
        if count < 0:
            raise SystemExit(f"llama_tokenize: {count}")
        return list(out[:count])

    def clear(self):
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)

    def truncate(self, length):
        ll.llama_memory_seq_rm(ll.llama_get_memory(self.context), 0, length, -1)

    def decode(self, ids, position, logits_from=None):
        """Decodes `ids` at `position` on; logits of those from index `logits_from` on, or of the last."""
        if logits_from is None:
            logits_from = len(ids) - 1
        batch = self.batch
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i] = token
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i >= logits_from
        # llama_decode returns before the computation has ended where a backend is asynchronous.
        start = time.perf_counter()
        status = ll.llama_decode(self.context, batch)
        ll.llama_synchronize(self.context)
        self.seconds = time.perf_counter() - start
        if status != 0:
            raise SystemExit(f"llama_decode: {status}")

    def logits(self, index=-1, rows=1):
        """[rows, V] from the batch's token `index` on; all of them must have asked for logits."""
        first = ll.llama_get_logits_ith(self.context, index)
        return np.ctypeslib.as_array(first, shape=(rows, self.vocab_size))

    def greedy(self, ids, count):
        self.clear()
        self.decode(ids, 0)
        out = []
        for _ in range(count):
            out.append(int(self.logits()[0].argmax()))
            self.decode(out[-1:], len(ids) + len(out) - 1)
        return out

    # As llama-bench measures: random tokens, cleared before, only llama_decode is timed.

    def prefill_speed(self, count, depth, rng):
        self.clear()
        self._fill(depth, rng)
        seconds = self._fill(count, rng, depth)
        return count / seconds

    def decode_speed(self, count, depth, rng):
        self.clear()
        self._fill(depth, rng)
        seconds = 0.0
        for i in range(count):
            seconds += self._fill(1, rng, depth + i)
        return count / seconds

    def _fill(self, count, rng, position=0):
        seconds = 0.0
        for at in range(0, count, 2048):
            ids = rng.integers(0, self.vocab_size, min(2048, count - at)).tolist()
            self.decode(ids, position + at)
            seconds += self.seconds
        return seconds


def serve(path, context, threads, *options):
    try:
        peer = LlamaPeer(path, int(context), int(threads), is_repacked="no-repack" not in options,
                         is_q8="q8_0" in options)
    except SystemExit as error:
        print(json.dumps({"refused": str(error)}))
        return
    rng = np.random.default_rng(1)
    answer = {"version": VERSION, "system_info": peer.system_info()}
    while True:
        print(json.dumps(answer), flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        command = json.loads(line)
        if command["do"] == "greedy":
            ids = peer.tokenize(command["prompt"], parse_special=True)
            answer = {"prompt_tokens": len(ids), "tokens": peer.greedy(ids, command["count"])}
        else:
            measure = {"pp": peer.prefill_speed, "tg": peer.decode_speed}[command["do"]]
            answer = {"tokens_per_second": measure(command["count"], command["depth"], rng)}


if __name__ == "__main__":
    serve(*sys.argv[1:])
