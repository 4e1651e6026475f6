"""OpenVINO GenAI on a GGUF file, on the CPU; the worker of compare.py, as llama_peer.py is.

It reads GGUF of the architectures llama, qwen2 and qwen3 with tensors of F16, Q8_0, Q4_0, Q4_1, Q4_K and Q6_K. What it
refuses, it refuses while loading: then the first line is {"refused": why}. After that it answers one JSON command per
line of standard input.

Its pipeline takes token ids, so a prompt has exactly the tokens that are asked for, and its metrics give the seconds of
each forward pass: the first is the prompt's, the others decode a token each. Prompts are random and never come again,
so its cache of prefixes serves only what it is told to: the tokens that a test has before it.
"""

import importlib.metadata
import json
import os
import sys

import numpy as np
import openvino
import openvino_genai

VERSION = "openvino-genai " + importlib.metadata.version("openvino-genai")


class OpenVinoPeer:
    """A pipeline with its defaults (paged attention, the CPU's own choice of float type for activations), but for the
    number of threads and the type of keys and values."""

    def __init__(self, path, threads, is_q8):
        self.pipeline = openvino_genai.LLMPipeline(str(path), "CPU", INFERENCE_NUM_THREADS=threads,
                                                   KV_CACHE_PRECISION="u8" if is_q8 else "f16")
        self.tokenizer = self.pipeline.get_tokenizer()
        self.vocab_size = len(self.tokenizer.get_vocab())

    def generate(self, ids, count):
        config = openvino_genai.GenerationConfig(max_new_tokens=count, do_sample=False, ignore_eos=True,
                                                 apply_chat_template=False)
        result = self.pipeline.generate(openvino.Tensor(np.array([ids], np.int64)), config)
        microseconds = result.perf_metrics.raw_metrics.token_infer_durations
        tokens = result.tokens[0]
        if len(tokens) != count or len(microseconds) != count:
            raise SystemExit(f"openvino: {len(tokens)} tokens in {len(microseconds)} passes, expected {count}")
        return tokens, [each / 1e6 for each in microseconds]

    def greedy(self, prompt, count):
        ids = self.tokenizer.encode(prompt).input_ids.data[0].tolist()
        return {"prompt_tokens": len(ids), "tokens": self.generate(ids, count)[0]}

    def prefill_speed(self, count, depth, rng):
        before = self._random(depth, rng)
        if before:
            self.generate(before, 1)  # from here on its cache of prefixes holds them
        _, seconds = self.generate(before + self._random(count, rng), 1)
        return count / seconds[0]

    def decode_speed(self, count, depth, rng):
        _, seconds = self.generate(self._random(max(depth, 1), rng), 1 + count)
        return count / sum(seconds[1:])

    def _random(self, count, rng):
        return rng.integers(0, self.vocab_size, count).tolist()


def serve(path, context, threads, *options):
    # The protocol has standard output for itself; what the libraries print goes to standard error.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        peer = OpenVinoPeer(path, int(threads), is_q8="q8_0" in options)
    except RuntimeError as error:  # several lines of where, the last one says what
        print(json.dumps({"refused": str(error).strip().splitlines()[-1]}), file=out)
        return
    rng = np.random.default_rng(1)
    answer = {"version": VERSION}
    while True:
        print(json.dumps(answer), file=out, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        command = json.loads(line)
        if command["do"] == "greedy":
            answer = peer.greedy(command["prompt"], command["count"])
        else:
            measure = {"pp": peer.prefill_speed, "tg": peer.decode_speed}[command["do"]]
            answer = {"tokens_per_second": measure(command["count"], command["depth"], rng)}


if __name__ == "__main__":
    serve(*sys.argv[1:])
