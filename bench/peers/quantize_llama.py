#!/usr/bin/env python3
"""Quantizes a GGUF file by llama.cpp, to hold `slm quantize` against.

    python3 bench/peers/quantize_llama.py in.gguf out.gguf Q4_K_M [-t 2] [--imatrix imatrix.gguf]
        [--tensor-type ffn_down=q4_k].. [--json]

Prints the seconds it took. The importance matrix is a GGUF file by llama-imatrix or `slm imatrix`. --tensor-type is
llama.cpp's: a regular expression and a type; the first that matches counts.
"""

import argparse
import ctypes
import json
import resource
import time

import llama_cpp as ll
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader

FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11,
              "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18,
              "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32}


class ImatrixData(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class TensorOverride(ctypes.Structure):
    _fields_ = [("pattern", ctypes.c_char_p), ("type", ctypes.c_int)]


@ll.llama_log_callback
def _log_nothing(level, text, user_data):
    pass


def read_imatrix(path):
    """Mean squares of every tensor's columns."""
    sums = {t.name: t.data for t in GGUFReader(path).tensors}
    return {name[:-len(".in_sum2")]: (x.reshape(-1) / max(1.0, float(sums[name[:-8] + ".counts"].reshape(-1)[0])))
            for name, x in ((n, s.astype(np.float32)) for n, s in sums.items() if n.endswith(".in_sum2"))}


def quantize(source, out, file_type, threads=2, importance=None, tensor_types=()):
    """`importance`: {tensor: [columns]}; `tensor_types`: [(expression, type name)]. Returns seconds."""
    ll.llama_log_set(_log_nothing, ctypes.c_void_p(0))
    ll.llama_backend_init()
    params = ll.llama_model_quantize_default_params()
    params.nthread = threads
    params.ftype = FILE_TYPES[file_type]
    params.allow_requantize = True
    keep = []
    if importance:
        entries = (ImatrixData * (len(importance) + 1))()
        for entry, (name, x) in zip(entries, importance.items()):
            x = np.ascontiguousarray(x, np.float32)
            keep.append(x)
            entry.name, entry.data, entry.size = name.encode(), x.ctypes.data, x.size
        params.imatrix = ctypes.cast(entries, type(params.imatrix))
        keep.append(entries)
    if tensor_types:
        overrides = (TensorOverride * (len(tensor_types) + 1))()
        for override, (pattern, name) in zip(overrides, tensor_types):
            override.pattern, override.type = pattern.encode(), int(GGMLQuantizationType[name.upper()])
        params.tt_overrides = ctypes.cast(overrides, type(params.tt_overrides))
        keep.append(overrides)
    start = time.perf_counter()
    if ll.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)):
        raise SystemExit(f"llama.cpp could not quantize {source}")
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("type", choices=FILE_TYPES)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--imatrix")
    parser.add_argument("--tensor-type", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    seconds = quantize(args.source, args.out, args.type, args.threads, args.imatrix and read_imatrix(args.imatrix),
                       [tuple(t.rsplit("=", 1)) for t in args.tensor_type])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_rss_bytes": peak}) if args.json else f"{seconds:.2f} s")


if __name__ == "__main__":
    main()
