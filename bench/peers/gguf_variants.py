"""GGUF files made from others, by the gguf package: matrices quantized, vocabularies given weights."""
import base64
import json

import gguf
import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter, quants

TYPES = gguf.GGMLQuantizationType
PLACEHOLDER = {"embedding_length": 64, "feed_forward_length": 96, "attention.head_count": 4, "attention.head_count_kv": 2,
               "attention.key_length": 16, "attention.value_length": 16, "rope.dimension_count": 16, "context_length": 1024, "block_count": 1}


def copy_fields(reader, writer, prefix=""):
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture" or not field.name.startswith(prefix):
            continue
        sub_type = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub_type)


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source, target, type_name="Q4_0"):
    """Every matrix in one type; vectors stay."""
    kind = TYPES[type_name]
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    copy_fields(reader, writer)
    for tensor in reader.tensors:
        data = quants.dequantize(tensor.data, tensor.tensor_type)
        if len(tensor.shape) > 1:
            writer.add_tensor(tensor.name, quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, data.astype(np.float32))
    write(writer)


def add_placeholder_weights(writer, vocab):
    """One layer of zeros, a Llama in shape."""
    d, f, kv = 64, 96, 32
    for key, value in PLACEHOLDER.items():
        writer.add_uint32("llama." + key, value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    shapes = {"token_embd": (vocab, d), "output_norm": (d,), "blk.0.attn_norm": (d,), "blk.0.attn_q": (d, d), "blk.0.attn_k": (kv, d),
              "blk.0.attn_v": (kv, d), "blk.0.attn_output": (d, d), "blk.0.ffn_norm": (d,), "blk.0.ffn_gate": (f, d), "blk.0.ffn_up": (f, d),
              "blk.0.ffn_down": (d, f)}
    for name, shape in shapes.items():
        writer.add_tensor(name + ".weight", np.zeros(shape, np.float16 if len(shape) > 1 else np.float32))
    write(writer)


def dress_vocabulary(source, target):
    """A model with the vocabulary of `source`."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, "llama")
    copy_fields(reader, writer, "tokenizer.")
    add_placeholder_weights(writer, len(reader.fields["tokenizer.ggml.tokens"].data))


def dress_made_up(golden, target, pre=None, prefix=False, no_extra_spaces=False):
    """A model with the vocabulary of tests/golden/tokenizers/tiny_bpe.json (`pre` given) or tiny_spm.json."""
    writer = GGUFWriter(target, "llama")
    if pre:
        tokens = golden["tokens"]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_merges(golden["merges"])
        writer.add_token_types([gguf.TokenType.CONTROL if t in ("<|endoftext|>", "<|im_start|>") else gguf.TokenType.NORMAL for t in tokens])
        writer.add_add_bos_token(False)
    else:
        tokens = golden["pieces"]
        types, scores = list(golden["types"]), list(golden["scores"])
        for i in golden["user_defined"]:
            types[i] = gguf.TokenType.NORMAL if prefix else gguf.TokenType.USER_DEFINED
            scores[i] = -10000 if prefix else 0
        writer.add_tokenizer_model("llama")
        writer.add_token_scores([float(s) for s in scores])
        writer.add_token_types(types)
        writer.add_unk_token_id(0)
        writer.add_add_bos_token(False)
        writer.add_add_space_prefix(prefix)
        writer.add_bool("tokenizer.ggml.remove_extra_whitespaces", no_extra_spaces)
    writer.add_token_list(tokens)
    add_placeholder_weights(writer, len(tokens))


def bytes_to_gpt2(data):
    printable = [b for b in range(256) if 0x21 <= b <= 0x7e or 0xa1 <= b and b != 0xad]
    others = [b for b in range(256) if b not in printable]
    table = {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}
    return "".join(table[b] for b in data)


def dress_ranks(source, target, pre):
    """A model with the tokens of a tiktoken or tekken file, without merges: the rank of one is the id of its result."""
    if source.suffix == ".json":
        tekken = json.loads(source.read_text())
        specials = [f"<SPECIAL_{i}>" for i in range(tekken["config"]["default_num_special_tokens"])]
        count = tekken["config"]["default_vocab_size"] - len(specials)
        normal = [bytes_to_gpt2(base64.b64decode(t["token_bytes"])) for t in tekken["vocab"][:count]]
    else:
        specials = []
        normal = [bytes_to_gpt2(base64.b64decode(line.split()[0])) for line in source.read_bytes().splitlines()]
    writer = GGUFWriter(target, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(specials + normal)
    writer.add_token_types([gguf.TokenType.CONTROL] * len(specials) + [gguf.TokenType.NORMAL] * len(normal))
    if specials:
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
    add_placeholder_weights(writer, len(specials + normal))
