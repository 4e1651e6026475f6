#!/usr/bin/env python3
"""Squared errors of our encoders beside ggml's, plain and weighted by importance, per type.

    pip install llama-cpp-python==0.3.36 gguf==0.19.0 numpy
    ninja -C build/release quantize_bench
    python3 bench/peers/quantize_error.py --models <folder of .gguf files> [--types Q4_K,IQ4_NL] [--all]
    python3 bench/peers/quantize_error.py --golden > tests/golden/quant_errors.txt

The tensors are those of the models, decoded, with noise of a third of a quantization step, so that no grid is
favoured, in rows of 1024. The importance of a column is log-normal, and some columns matter 60 times as much, as
activations have it. ggml is what llama-cpp-python ships (or --ggml, a libggml-base.so). Without --golden it prints,
per type, our error over ggml's: the mean and the largest over the tensors.
"""

import argparse
import ctypes
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

TYPES = {"Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11, "Q4_K": 12, "Q5_K": 13,
         "Q6_K": 14, "IQ4_NL": 20, "IQ4_XS": 23}
COLUMNS = 1024


class Ggml:
    def __init__(self, path):
        if path is None:
            spec = importlib.util.find_spec("llama_cpp")
            path = pathlib.Path(spec.origin).parent / "lib" / "libggml-base.so"
        self.lib = ctypes.CDLL(str(path), mode=os.RTLD_LAZY)
        self.lib.ggml_quantize_chunk.restype = ctypes.c_size_t

    def quantize(self, name, rows, importance):
        import gguf
        block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
        out = np.zeros(rows.size // block * size, np.uint8)
        pointer = lambda a: None if a is None else a.ctypes.data_as(ctypes.c_void_p)
        self.lib.ggml_quantize_chunk(TYPES[name], pointer(rows), pointer(out), ctypes.c_int64(0),
                                     ctypes.c_int64(rows.shape[0]), ctypes.c_int64(rows.shape[1]),
                                     pointer(importance))
        return out


def ours(bench, name, rows, importance):
    with tempfile.TemporaryDirectory() as folder:
        path = lambda leaf: os.path.join(folder, leaf)
        rows.tofile(path("rows"))
        if importance is not None:
            importance.tofile(path("importance"))
        subprocess.run([bench, "encode", name, str(rows.shape[1]), path("rows"),
                        "-" if importance is None else path("importance"), path("out")], check=True)
        return np.fromfile(path("out"), np.uint8)


def error(name, rows, blocks, importance):
    import gguf
    decoded = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name]).reshape(rows.shape)
    squares = (rows.astype(np.float64) - decoded) ** 2
    return float((squares if importance is None else squares * importance).sum())


def float_rows(tensor, is_all, rng):
    """The tensor, or its first rows, decoded, with noise of a third of its steps, in rows of COLUMNS."""
    import gguf
    import make_float_base
    kind = tensor.tensor_type
    blocks = np.ascontiguousarray(tensor.data).reshape(-1, gguf.GGML_QUANT_SIZES[kind][1])
    if not is_all:
        blocks = blocks[:128 * COLUMNS // gguf.GGML_QUANT_SIZES[kind][0]]
    x = gguf.quants.dequantize(blocks, kind).reshape(-1)
    x = x + rng.normal(size=x.shape) * make_float_base.steps_of(blocks, kind).reshape(-1) / 3
    return x[:x.size // COLUMNS * COLUMNS].astype(np.float32).reshape(-1, COLUMNS)


def tensors(models, is_all, rng):
    import gguf
    for path in sorted(pathlib.Path(models).glob("*.gguf")):
        reader = gguf.GGUFReader(path)
        layers = 1 + max(int(m.group(1)) for t in reader.tensors if (m := re.match(r"blk\.(\d+)\.", t.name)))
        picked = {1, layers // 2, layers - 1}
        for tensor in reader.tensors:
            layer = re.match(r"blk\.(\d+)\.", tensor.name)
            if len(tensor.shape) != 2 or (layer and int(layer.group(1)) not in picked and not is_all):
                continue
            yield f"{path.stem} {tensor.name}", float_rows(tensor, is_all, rng)


def compare(args):
    rng = np.random.default_rng(5)
    importance = np.exp(1.2 * rng.normal(size=COLUMNS))
    importance[rng.integers(0, COLUMNS, 8)] *= 60
    importance = importance.astype(np.float32)
    ggml = Ggml(args.ggml)
    names = args.types.split(",")
    ratios = {(name, weighted): [] for name in names for weighted in (False, True)}
    for label, rows in tensors(args.models, args.all, rng):
        for name in names:
            for weighted in (False, True):
                w = importance if weighted else None
                ratio = (error(name, rows, ours(args.bench, name, rows, w), w) /
                         error(name, rows, ggml.quantize(name, rows, w), w))
                ratios[name, weighted].append(ratio)
                if ratio > 1:
                    print(f"above: {name} {label} {'weighted' if weighted else 'plain'} {ratio:.5f}", file=sys.stderr)
    print("| type | plain, mean | largest | weighted, mean | largest |\n| --- | --- | --- | --- | --- |")
    for name in names:
        plain, weighted = ratios[name, False], ratios[name, True]
        print(f"| {name} | {np.mean(plain):.3f} | {max(plain):.3f} | {np.mean(weighted):.3f} | {max(weighted):.3f} |")


class Numbers:
    """As in tests/quant/encode_weighted_test.cpp."""

    def __init__(self):
        self.state = 0

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9e3779b97f4a7c15) & mask
        z = self.state
        z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & mask
        z = ((z ^ z >> 27) * 0x94d049bb133111eb) & mask
        return z ^ z >> 31

    def bell(self):
        bits = self.next()
        return (sum(bits >> 16 * i & 0xffff for i in range(4)) - 131070) / 65536


def golden(args):
    numbers, (row_count, columns) = Numbers(), (32, 512)
    rows = np.array([numbers.bell() * (4 if i % 64 == 0 else 1) / 32 for i in range(row_count * columns)],
                    np.float32).reshape(row_count, columns)
    importance = np.array([(1 + (numbers.next() & 0xffff) / 4096) * (32 if i % 64 == 0 else 1)
                           for i in range(columns)], np.float32)
    ggml = Ggml(args.ggml)
    print("# <type> <squared error> <squared error weighted, with importance> of ggml's encoders for the tensor of")
    print(f"# tests/quant/encode_weighted_test.cpp. Made by bench/peers/quantize_error.py, {args.version}.")
    for name in TYPES:
        plain = error(name, rows, ggml.quantize(name, rows, None), None)
        weighted = error(name, rows, ggml.quantize(name, rows, importance), importance)
        print(name, repr(plain), repr(weighted))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=os.environ.get("SLM_MODELS"))
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--all", action="store_true", help="whole tensors of all layers")
    parser.add_argument("--bench", default="build/release/bench/quantize_bench")
    parser.add_argument("--ggml")
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--version", default="")
    args = parser.parse_args()
    if not args.version:
        try:
            args.version = "llama-cpp-python " + importlib.metadata.version("llama-cpp-python")
        except importlib.metadata.PackageNotFoundError:
            args.version = "ggml of " + str(args.ggml)
    golden(args) if args.golden else compare(args)


if __name__ == "__main__":
    main()
