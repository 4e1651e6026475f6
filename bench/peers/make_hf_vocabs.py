"""Writes tokenizers as checkpoints have them, rebuilt from GGUF vocabularies: what `slm convert` is tested with.

usage: make_hf_vocabs.py --out DIR [--vocab DIR] [--models DIR] [--peers DIR]
  --out     a folder for each vocabulary, named as its ids in tests/golden/tokenizers; tests find it as SLM_HF_VOCABS
  --vocab   the GGUF vocabularies (SLM_DATA/vocab)
  --models  the real models
  --peers   tekken.json (SLM_PEER_VOCABS)
Without the last three only tests/golden/hf_tokenizers is written anew, from the small vocabularies of tests/golden/tokenizers.
Needs gguf, protobuf, sentencepiece, tiktoken, tokenizers.
"""
import argparse
import json
import pathlib
import shutil

import tokenizer_references as ref
from sentencepiece import sentencepiece_model_pb2 as spm_pb
from tokenizers import AddedToken, Tokenizer, models, normalizers

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"


def folder(out, name, vocab_size, **tokenizer_config):
    path = out / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({"vocab_size": vocab_size}))
    (path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    return path


def from_gguf(out, name, gguf):
    if gguf.model == "gpt2":
        tokenizer = ref.hf_bpe(gguf)
    else:
        tokenizer = ref.hf_spm(gguf)
    path = folder(out, name, len(gguf.tokens))
    tokenizer.save(str(path / "tokenizer.json"), pretty=False)
    if gguf.model == "llama":
        path = folder(out, name + "-sentencepiece", len(gguf.tokens))
        (path / "tokenizer.model").write_bytes(ref.sentencepiece_model(gguf).serialized_model_proto())


def tiny(out):
    bpe = json.loads((GOLDEN / "tokenizers" / "tiny_bpe.json").read_text())
    specials = ["<|endoftext|>", "<|im_start|>"]
    vocab = {t: i for i, t in enumerate(bpe["tokens"]) if t not in specials}
    for pre in ("llama-bpe", "dbrx", "qwen2", "gpt-4o", "tekken", "smollm", "gpt-2"):
        tokenizer = ref.bpe_from_parts(pre, vocab, [tuple(m.split(" ")) for m in bpe["merges"]])
        tokenizer.add_special_tokens(specials)
        recipe = json.loads(tokenizer.to_str())
        path = folder(out, pre, len(bpe["tokens"]) + 6, bos_token=specials[0])
        if pre != "llama-bpe":  # the vocabulary is in one folder only: the test puts it back
            recipe["model"]["vocab"], recipe["model"]["merges"] = {}, []
        (path / "tokenizer.json").write_text(json.dumps(recipe, separators=(",", ":")))

    spm = json.loads((GOLDEN / "tokenizers" / "tiny_spm.json").read_text())
    for name, prefix, extra in (("user_defined", False, False), ("prefix", True, False), ("prefix_no_extra", True, True)):
        proto = spm_pb.ModelProto()
        for i, (text, score, kind) in enumerate(zip(spm["pieces"], spm["scores"], spm["types"])):
            if i in spm["user_defined"]:
                score, kind = (-10000, 1) if prefix else (0, 4)
            proto.pieces.add(piece=text, score=score, type=kind)
        proto.trainer_spec.model_type = spm_pb.TrainerSpec.BPE
        proto.trainer_spec.byte_fallback = True
        proto.normalizer_spec.name = "identity"
        proto.normalizer_spec.add_dummy_prefix = prefix
        proto.normalizer_spec.remove_extra_whitespaces = extra
        path = folder(out, "spm_" + name, len(spm["pieces"]))
        (path / "tokenizer.model").write_bytes(proto.SerializeToString())


def main():
    parser = argparse.ArgumentParser()
    for name in ("out", "vocab", "models", "peers"):
        parser.add_argument("--" + name, type=pathlib.Path)
    args = parser.parse_args()
    tiny(GOLDEN / "hf_tokenizers")
    if args.vocab:
        for name in ("gpt-2", "llama-bpe", "qwen2", "llama-spm", "phi-3"):
            from_gguf(args.out, name, ref.Gguf(args.vocab / f"ggml-vocab-{name}.gguf"))
    if args.models:
        for name, file in (("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"), ("gemma-3", "gemma-3-270m-Q4_K_M.gguf"),
                           ("qwen2.5-coder", "qwen2.5-coder-0.5b-instruct-Q4_K_M.gguf")):
            from_gguf(args.out, name, ref.Gguf(args.models / file))
    if args.peers:
        shutil.copy(args.peers / "tekken.json", folder(args.out, "tekken", 131072) / "tekken.json")


if __name__ == "__main__":
    main()
