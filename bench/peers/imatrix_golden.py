#!/usr/bin/env python3
"""Importance matrices by the `gguf` package, with the keys and shapes of llama.cpp's llama-imatrix.

    pip install gguf==0.19.0 numpy
    python3 bench/peers/imatrix_golden.py write tests/golden/imatrix.gguf
    python3 bench/peers/imatrix_golden.py check FILE.imatrix.gguf MODEL.gguf

`write` makes the file that tests read: a dense tensor, experts with a count each (one of them never used), and
experts with one count for all. `check` reads what `slm imatrix` wrote, and fails unless it has both parts of every
2-D weight inside the layers of the model, in the right shapes.
"""

import sys

import gguf
import numpy as np


def write(path):
    writer = gguf.GGUFWriter(path, "")
    writer.kv_data[0].pop("general.architecture", None)  # these files have none
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["a.txt", "b.txt"])
    writer.add_uint32("imatrix.chunk_count", 3)
    writer.add_uint32("imatrix.chunk_size", 512)

    def add(name, sums, counts):
        writer.add_tensor(name + ".in_sum2", np.array(sums, dtype=np.float32))
        writer.add_tensor(name + ".counts", np.array(counts, dtype=np.float32).reshape(-1, 1))

    add("blk.0.attn_q.weight", [[3, 6, 0, 1.5]], [3])
    add("blk.0.ffn_down_exps.weight", [[2, 4], [0, 0], [9, 3]], [2, 0, 3])
    add("blk.0.ffn_gate_exps.weight", [[2, 4, 6, 8]], [2])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check(path, model_path):
    reader, model = gguf.GGUFReader(path), gguf.GGUFReader(model_path)
    assert reader.get_field("general.type").contents() == "imatrix"
    for key in ["imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"]:
        print(key, reader.get_field(key).contents())
    tokens = reader.get_field("imatrix.chunk_count").contents() * reader.get_field("imatrix.chunk_size").contents()
    tensors = {t.name: t for t in reader.tensors}
    weights = [t for t in model.tensors if len(t.shape) == 2 and t.name.startswith("blk.")]
    for weight in weights:
        sums, counts = (tensors.pop(weight.name + suffix) for suffix in (".in_sum2", ".counts"))
        assert sums.tensor_type == counts.tensor_type == gguf.GGMLQuantizationType.F32
        assert list(sums.shape) == [weight.shape[0], 1], weight.name
        assert list(counts.shape) == [1, 1] and counts.data[0] == tokens, weight.name
        assert np.isfinite(sums.data).all() and (sums.data >= 0).all() and sums.data.any(), weight.name
    print(f"{len(weights)} tensors as expected, others: {sorted(tensors)}")


{"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
