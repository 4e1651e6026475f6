#!/usr/bin/env python3
"""Makes a float model of a quantized one, to measure quantization against where no float checkpoint is at hand.

    pip install gguf==0.19.0 numpy
    python3 bench/peers/make_float_base.py model.Q4_1.gguf base.gguf --type bf16 --noise 0.333

Weights that lie exactly on one type's grid would favour that type. So every quantized weight gets normal noise
of --noise times the step of its own block (0: none), which spreads it over the cell that it was rounded to: with a
third, where a weight stands between two codes is uniform within 22 %.
Matrices become --type; vectors, and all metadata but the file's type, stay. One tensor is in memory at a time.
"""

import argparse
import zlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants

TYPES = {"f32": (T.F32, 0), "f16": (T.F16, 1), "bf16": (T.BF16, 32)}  # and general.file_type
FLOATS = [T.F32, T.F16, T.BF16]

# The bytes of a block that hold its codes, and how many steps lie between the least and the greatest code.
CODES = {
    T.Q4_0: ((2, 18), 15), T.Q4_1: ((4, 20), 15), T.Q5_0: ((2, 22), 31), T.Q5_1: ((4, 24), 31),
    T.Q8_0: ((2, 34), 255), T.Q2_K: ((16, 80), 3), T.Q3_K: ((0, 96), 7), T.Q4_K: ((16, 144), 15),
    T.Q5_K: ((16, 176), 31), T.Q6_K: ((0, 192), 63), T.IQ4_NL: ((2, 18), 15), T.IQ4_XS: ((8, 136), 15),
}


def steps_of(blocks, kind):
    """The quantization step at every weight: what lies between neighbouring codes of its block."""
    (begin, end), count = CODES[kind]
    low, high = blocks.copy(), blocks.copy()
    signed = kind == T.Q8_0
    low[..., begin:end] = 0x80 if signed else 0
    high[..., begin:end] = 0x7f if signed else 0xff
    return np.abs(quants.dequantize(high, kind) - quants.dequantize(low, kind)) / count


def float_values(tensor, noise, seed, rows_at_once=4096):
    """Parts of the tensor as float32 rows, noise added."""
    kind = tensor.tensor_type
    rng = np.random.default_rng([seed, zlib.crc32(tensor.name.encode())] if seed else zlib.crc32(tensor.name.encode()))
    data = tensor.data.reshape(-1, tensor.data.shape[-1])
    for at in range(0, len(data), rows_at_once):
        rows = np.ascontiguousarray(data[at:at + rows_at_once])
        values = quants.dequantize(rows, kind).astype(np.float32)
        if noise > 0 and kind not in FLOATS:
            blocks = rows.reshape(-1, gguf.GGML_QUANT_SIZES[kind][1])
            steps = steps_of(blocks, kind).reshape(values.shape)
            values += rng.standard_normal(values.shape, dtype=np.float32) * (noise * steps)
        yield values


def copy_metadata(reader, writer):
    for field in reader.fields.values():
        skipped = ["GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture",
                   "general.file_type", "general.quantization_version"]
        if field.name in skipped:
            continue
        sub_type = field.types[1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--type", choices=TYPES, default="bf16")
    parser.add_argument("--noise", type=float, default=1 / 3, help="standard deviation, in steps")
    parser.add_argument("--seed", type=int, default=0, help="another noise")
    args = parser.parse_args()

    reader = gguf.GGUFReader(args.input)
    writer = gguf.GGUFWriter(args.output, reader.get_field("general.architecture").contents())
    kind, file_type = TYPES[args.type]
    copy_metadata(reader, writer)
    writer.add_file_type(file_type)
    for tensor in reader.tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        out = kind if len(shape) > 1 else tensor.tensor_type
        width, size = gguf.GGML_QUANT_SIZES[out]
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32),
                               int(np.prod(shape)) // width * size, raw_dtype=out)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file = writer.fout[0]
    for tensor in reader.tensors:
        writer.write_padding(file, file.tell())
        if len(tensor.shape) > 1:
            for values in float_values(tensor, args.noise, args.seed):
                file.write(quants.quantize(values, kind).tobytes())
        else:
            file.write(tensor.data.tobytes())
        writer.write_padding(file, file.tell())
    writer.close()


if __name__ == "__main__":
    main()
