#!/usr/bin/env python3
"""A GGUF file with the true shapes of a published model and random weights in float16, for speed at sizes whose weights
are not at hand: what it generates is noise, but takes as long.

    build/peers/venv/bin/python bench/peers/make_shape.py llama-3.2-1b build/1b-F16.gguf
    build/release/slm quantize build/1b-F16.gguf build/llama-1b-Q4_K_M.gguf Q4_K_M
"""

import argparse
import math

import gguf
import numpy

# Architecture, layers, width, feed-forward, heads, key/value heads, head size, vocabulary, tied embedding, rope base.
SHAPES = {
    "llama-3.2-1b": ("llama", 16, 2048, 8192, 32, 8, 64, 128256, True, 5e5),
    "llama-3.2-3b": ("llama", 28, 3072, 8192, 24, 8, 128, 128256, True, 5e5),
    "qwen2.5-1.5b": ("qwen2", 28, 1536, 8960, 12, 2, 128, 151936, True, 1e6),
    "qwen2.5-7b": ("qwen2", 28, 3584, 18944, 28, 4, 128, 152064, False, 1e6),
}
POOL = 1 << 22  # distinct random values, from different places for each tensor


def tensors(shape):
    """Name, rows, columns; None rows: a vector in float32, of ones when it is a norm."""
    arch, layers, width, ffn, heads, kv_heads, head, vocab, is_tied, _ = shape
    q, kv = heads * head, kv_heads * head
    yield "token_embd.weight", vocab, width
    for i in range(layers):
        for name, rows, columns in (
                ("attn_norm.weight", None, width), ("attn_q.weight", q, width), ("attn_k.weight", kv, width),
                ("attn_v.weight", kv, width), ("attn_output.weight", width, q), ("ffn_norm.weight", None, width),
                ("ffn_gate.weight", ffn, width), ("ffn_up.weight", ffn, width), ("ffn_down.weight", width, ffn)):
            yield f"blk.{i}.{name}", rows, columns
        if arch == "qwen2":
            for name, size in (("q", q), ("k", kv), ("v", kv)):
                yield f"blk.{i}.attn_{name}.bias", None, size
    yield "output_norm.weight", None, width
    if not is_tied:
        yield "output.weight", vocab, width


def write_metadata(out, name, shape):
    arch, layers, width, ffn, heads, kv_heads, head, vocab, _, base = shape
    out.add_name(f"{name}'s shape, random weights")
    out.add_context_length(32768)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(ffn)
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_key_length(head)
    out.add_value_length(head)
    out.add_rope_dimension_count(head)
    out.add_rope_freq_base(base)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(vocab)
    out.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    # The tokenizer knows bytes and one merge; the other tokens are there to be counted.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(c) for c in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    known = [*letters, letters[0] + letters[1]]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("llama-bpe")
    out.add_token_list(known + [f"[PAD{i}]" for i in range(len(known), vocab)])
    out.add_token_types([gguf.TokenType.NORMAL] * len(known) + [gguf.TokenType.UNUSED] * (vocab - len(known)))
    out.add_token_merges([f"{letters[0]} {letters[1]}"])
    out.add_bos_token_id(0)
    out.add_eos_token_id(vocab - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out")
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    random = numpy.random.default_rng(1)
    pool = random.normal(0, 0.02, POOL).astype(numpy.float16)
    out = gguf.GGUFWriter(args.out, shape[0])
    write_metadata(out, args.shape, shape)
    for name, rows, columns in tensors(shape):
        dtype = numpy.dtype(numpy.float16 if rows else numpy.float32)
        size = (rows, columns) if rows else (columns,)
        out.add_tensor_info(name, size, dtype, math.prod(size) * dtype.itemsize)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_ti_data_to_file()
    for name, rows, columns in tensors(shape):  # one at a time: no more is in memory
        if rows:
            start = int(random.integers(POOL))
            out.write_tensor_data(numpy.resize(numpy.roll(pool, start), (rows, columns)))
        else:
            out.write_tensor_data(numpy.full(columns, "norm" in name, numpy.float32))
    out.close()


main()
