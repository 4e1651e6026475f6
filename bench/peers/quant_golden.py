#!/usr/bin/env python3
"""Writes tests/golden/quant.txt: blocks of every type with the values that the `gguf` package gives.

    pip install gguf==0.19.0 numpy
    python3 bench/peers/quant_golden.py > tests/golden/quant.txt
"""

import importlib.metadata

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants

# Per quantized type: where its half-precision fields stand inside a block.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82],
    T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0],
}
FLOATS = [T.F32, T.F16, T.BF16]
ENCODED = [T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0]


def blocks_of(kind, rng):
    """Random blocks with finite scales, then the worst: all ones, infinite and subnormal scales."""
    if kind in FLOATS:
        width = gguf.GGML_QUANT_SIZES[kind][1]
        edges = {2: [0, 1, 0x8000, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x7f80, 0x3c01],
                 4: [0, 1, 0x80000000, 0x7f800000, 0xff800000, 0x7f7fffff, 0x3f800001]}[width]
        return np.concatenate([rng.integers(0, 256, 24 * width, dtype=np.uint8),
                               np.array(edges, dtype=f"<u{width}").view(np.uint8)])
    size = gguf.GGML_QUANT_SIZES[kind][1]
    out = []
    for scale in ["random", "random", "ones", "infinite", "subnormal"]:
        block = rng.integers(0, 256, size, dtype=np.uint8)
        if scale == "ones":
            block[:] = 255
        else:
            for at in HALVES[kind]:
                value = {"random": np.float16(rng.normal() * 0.01), "infinite": np.float16(-np.inf),
                         "subnormal": np.float16(3e-7)}[scale]
                block[at:at + 2] = np.frombuffer(value.tobytes(), dtype=np.uint8)
        out.append(block)
    return np.concatenate(out)


def rows_to_encode(rng):
    """Rows of 32: ordinary, and those where rounding, ties or the range decide."""
    rows = [rng.normal(size=32), rng.normal(size=32) * 1e-3, rng.normal(size=32) * 300 - 500,
            np.zeros(32), np.full(32, -0.75), np.full(32, 2.5),
            np.arange(32) - 16, np.arange(32) - 15.5, (np.arange(32) % 2) * 2.0 - 1.0,
            np.where(np.arange(32) == 7, 254.0, np.arange(32) - 16.5),  # halves after scaling by 2
            rng.normal(size=32) * 1e6, rng.normal(size=32) * 1e-7]
    return np.array(rows, dtype=np.float32)


def main():
    rng = np.random.default_rng(20)
    print("# decode <type> <blocks> <float32 values>, encode <type> <float32 values> <blocks>; hex,")
    print(f"# little-endian. Made by bench/peers/quant_golden.py with gguf "
          f"{importlib.metadata.version('gguf')}, numpy {np.__version__}.")
    np.seterr(all="ignore")
    for kind in FLOATS + list(HALVES):
        blocks = blocks_of(kind, rng)
        values = quants.dequantize(blocks, kind)
        print("decode", kind.name, blocks.tobytes().hex(), values.astype("<f4").tobytes().hex())
    rows = rows_to_encode(rng)
    for kind in ENCODED:
        blocks = quants.quantize(rows, kind)
        print("encode", kind.name, rows.astype("<f4").tobytes().hex(), blocks.tobytes().hex())


if __name__ == "__main__":
    main()
