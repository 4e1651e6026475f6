#!/usr/bin/env python3
"""Makes tests/golden/recipes.txt: the type that llama.cpp's quantizer gives every matrix, for every recipe and a few
shapes of models. Small models with many layers are written and quantized.

    pip install llama-cpp-python==0.3.36 gguf==0.19.0 numpy
    python3 bench/peers/make_recipe_golden.py
"""

import pathlib
import tempfile

import gguf
import numpy as np
from quantize_llama import FILE_TYPES, quantize

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "recipes.txt"
VOCAB = 64

# arch, layers, row length, heads, kv heads, tied, importance
CASES = [("llama", 32, 256, 8, 2, True, False), ("llama", 32, 256, 8, 8, False, False),
         ("llama", 22, 256, 8, 2, False, True), ("llama", 17, 96, 3, 1, True, False),
         ("llama", 16, 96, 3, 3, False, True), ("phi3", 24, 256, 8, 4, False, False),
         ("gemma3", 18, 256, 4, 1, True, False)]


def write_model(path, arch, layers, dim, heads, kv_heads, tied):
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter(path, arch)
    head = dim // heads
    w.add_context_length(128)
    w.add_embedding_length(dim)
    w.add_block_count(layers)
    w.add_feed_forward_length(dim)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_key_length(head)
    w.add_value_length(head)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(head)
    w.add_sliding_window(64)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([f"t{i}" for i in range(VOCAB)])
    w.add_token_types([1] * VOCAB)
    w.add_token_merges([])

    def matrix(name, rows):
        w.add_tensor(name, rng.normal(0, 0.02, (rows, dim)).astype(np.float16))

    def norm(name, n=dim):
        w.add_tensor(name, np.ones(n, np.float32))

    matrix("token_embd.weight", VOCAB)
    norm("output_norm.weight")
    if not tied:
        matrix("output.weight", VOCAB)
    for i in range(layers):
        b = f"blk.{i}."
        norm(b + "attn_norm.weight")
        norm(b + "ffn_norm.weight")
        if arch == "phi3":
            matrix(b + "attn_qkv.weight", dim + 2 * head * kv_heads)
        else:
            matrix(b + "attn_q.weight", dim)
            matrix(b + "attn_k.weight", head * kv_heads)
            matrix(b + "attn_v.weight", head * kv_heads)
        if arch == "gemma3":
            norm(b + "attn_q_norm.weight", head)
            norm(b + "attn_k_norm.weight", head)
            norm(b + "post_attention_norm.weight")
            norm(b + "post_ffw_norm.weight")
        matrix(b + "attn_output.weight", dim)
        if arch == "phi3":
            matrix(b + "ffn_up.weight", 2 * dim)
        else:
            matrix(b + "ffn_gate.weight", dim)
            matrix(b + "ffn_up.weight", dim)
        matrix(b + "ffn_down.weight", dim)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    lines = ["# by bench/peers/make_recipe_golden.py, llama-cpp-python 0.3.36",
             "# case: arch layers row_length heads kv_heads tied importance; then recipe, tensor, types by layer"]
    with tempfile.TemporaryDirectory() as folder:
        for arch, layers, dim, heads, kv_heads, tied, importance in CASES:
            lines.append(f"case {arch} {layers} {dim} {heads} {kv_heads} {int(tied)} {int(importance)}")
            source, out = f"{folder}/in.gguf", f"{folder}/out.gguf"
            write_model(source, arch, layers, dim, heads, kv_heads, tied)
            names = [t.name for t in gguf.GGUFReader(source).tensors if len(t.shape) == 2]
            matrix = {name: np.ones(dim, np.float32) for name in names} if importance else None
            for recipe in FILE_TYPES:
                if recipe == "F32":
                    continue
                quantize(source, out, recipe, 2, matrix)
                roles = {}
                for t in gguf.GGUFReader(out).tensors:
                    if len(t.shape) != 2:
                        continue
                    layer, role = (int(t.name.split(".")[1]), t.name.split(".")[2]) if t.name[:4] == "blk." else (0, t.name.split(".")[0])
                    roles.setdefault(role, {})[layer] = t.tensor_type.name
                for role, types in sorted(roles.items()):
                    by_layer = [types[i] for i in range(len(types))]
                    lines.append(f"{recipe} {role} " + (by_layer[0] if len(set(by_layer)) == 1 else ",".join(by_layer)))
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
