"""Reference tokenizers, built from GGUF vocabularies with the publishers' own recipes.

GGUF keeps tokens, merges and scores but not the recipe (normalizer, regular expression, stripping), so the recipes are
spelled out here as the publishers' tokenizer.json or source gives them.
"""
import json

import sentencepiece
import tiktoken
import tiktoken.load
import tiktoken_ext.openai_public
from gguf import GGUFReader
from sentencepiece import sentencepiece_model_pb2 as spm_pb
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = O200K.replace(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(use_regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


# name in tokenizer.ggml.pre -> pre-tokenizer, NFC, ignore_merges
RECIPES = {
    "llama-bpe": ([split(LLAMA3), byte_level()], False, True),
    "dbrx": ([split(LLAMA3), byte_level()], False, False),
    "qwen2": ([split(QWEN2), byte_level()], True, False),
    "deepseek-r1-qwen": ([split(QWEN2), byte_level()], False, False),
    "gpt-4o": ([split(O200K), byte_level()], False, False),
    "tekken": ([split(TEKKEN), byte_level()], False, True),
    "smollm": ([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)], False, False),
    "gpt-2": ([byte_level(use_regex=True)], False, False),
    # llama.cpp's fallback; no publisher has it.
    "default": ([split(r"[\p{P}\$\+<=>\^~\|]+"), split(GPT2), split(r"\p{N}+"), split("[0-9][0-9][0-9]"), byte_level()],
                False, False),
}


class Gguf:
    def __init__(self, path):
        fields = GGUFReader(path).fields

        def get(key, default=None):
            return fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else default

        self.model = get("model")
        self.pre = get("pre")
        self.tokens = get("tokens")
        self.types = get("token_type")
        self.scores = get("scores")
        self.merges = get("merges")
        self.unk = get("unknown_token_id", 0)
        self.add_space_prefix = get("add_space_prefix", True)

    def specials(self):
        return [(i, t) for i, t in enumerate(self.tokens) if self.types[i] in (UNKNOWN, CONTROL, USER_DEFINED)]


def add_specials(tokenizer, gguf):
    texts = {t for _, t in gguf.specials()}
    phi3 = gguf.model == "llama" and {"<|assistant|>", "<|user|>", "<|end|>"} <= texts
    phi4 = gguf.pre == "dbrx" and "<|im_sep|>" in texts
    added = []
    for i, text in gguf.specials():
        rstrip = phi4 or (phi3 and text not in ("<unk>", "<s>", "<|endoftext|>"))
        added.append(AddedToken(text, lstrip=phi4, rstrip=rstrip, normalized=False, special=gguf.types[i] != USER_DEFINED))
    tokenizer.add_tokens(added)
    for i, text in gguf.specials():
        assert tokenizer.token_to_id(text) == i, (text, i)


def bpe_from_parts(pre, vocab, merges):
    steps, nfc, ignore_merges = RECIPES[pre]
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=ignore_merges))
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def hf_bpe(gguf):
    vocab = {t: i for i, t in enumerate(gguf.tokens)}
    tokenizer = bpe_from_parts(gguf.pre, vocab, [tuple(m.split(" ", 1)) for m in gguf.merges])
    add_specials(tokenizer, gguf)
    return tokenizer


def hf_spm(gguf):
    """As transformers converts a SentencePiece BPE model: merges from the scores of the results."""
    plain = {t: i for i, t in enumerate(gguf.tokens)}
    mergeable = {t: i for t, i in plain.items() if gguf.types[i] in (NORMAL, USER_DEFINED)}
    merges = []
    for token, i in mergeable.items():
        for cut in range(1, len(token)):
            left, right = mergeable.get(token[:cut]), mergeable.get(token[cut:])
            if left is not None and right is not None:
                merges.append((-gguf.scores[i], left, right, token[:cut], token[cut:]))
    merges.sort(key=lambda m: m[:3])
    tokenizer = Tokenizer(models.BPE(plain, [m[3:] for m in merges], byte_fallback=True, fuse_unk=True,
                                     unk_token=gguf.tokens[gguf.unk]))
    replace = normalizers.Replace(" ", "\u2581")
    prepend = [normalizers.Prepend("\u2581")] if gguf.add_space_prefix else []
    tokenizer.normalizer = normalizers.Sequence(prepend + [replace])
    add_specials(tokenizer, gguf)
    return tokenizer


def sentencepiece_model(gguf):
    """The .model that the GGUF was made from, as far as encoding goes."""
    proto = spm_pb.ModelProto()
    kind = {NORMAL: 1, UNKNOWN: 2, CONTROL: 3, USER_DEFINED: 4, UNUSED: 5, BYTE: 6}
    for i, text in enumerate(gguf.tokens):
        if i != gguf.unk and gguf.types[i] == UNKNOWN:
            kind_i = 5  # padding of the vocabulary; a model may have one unknown piece only
        else:
            kind_i = 2 if i == gguf.unk else kind[gguf.types[i]]
        if gguf.add_space_prefix and text == "</s>":
            kind_i = 3  # Phi-3's tokenizer.json makes it user-defined; in its .model it is Llama 2's control piece
        piece = proto.pieces.add()
        piece.piece = text.replace(" ", "\u2581")
        piece.score = gguf.scores[i]
        piece.type = kind_i
    proto.trainer_spec.model_type = spm_pb.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = gguf.add_space_prefix
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = True
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


def tiktoken_encoding(name, path):
    with open(path, "rb") as f:
        ranks = {}
        import base64
        for line in f.read().splitlines():
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    load = tiktoken_ext.openai_public.load_tiktoken_bpe
    tiktoken_ext.openai_public.load_tiktoken_bpe = lambda *args, **kwargs: ranks
    try:
        spec = getattr(tiktoken_ext.openai_public, name)()
    finally:
        tiktoken_ext.openai_public.load_tiktoken_bpe = load
    return tiktoken.Encoding(**spec)
