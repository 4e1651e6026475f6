#!/usr/bin/env python3
"""Writes tests/golden/families: a small random model per family and what transformers says of it.

    pip install torch==2.15.0 transformers==5.23.0 gguf==0.19.0
    python3 bench/peers/make_family_goldens.py            # all, or the names given

Per family <name>.gguf (float32, names and metadata as llama.cpp's converter writes them, but written
here from the transformers model, so that a mistake of that converter would show) and <name>.json: the
logits of the last position for a short and a long list of ids, and the greedy tokens that follow. Shapes
are odd on purpose: no dimension is a multiple of 16 if the family allows it, windows and original
contexts are passed by the long list.
"""

import argparse
import copy
import importlib.metadata
import json
import math
import pathlib

import gguf
import numpy as np
import torch
import transformers

GREEDY_TOKENS = 12
SHORT, LONG = 13, 90        # ids; LONG passes every window and original context below, but for
LONGER = {"phi4mini": 270}  # whose original context is the least that llama.cpp can be given
LEAST_MARGIN = 1e-2         # between the two best logits, at every greedy step
MOST_NOISE = 2e-5           # see worst_noise: another order of summing moves logits as far
LEAST_DISTINCT = 4          # greedy tokens: a model that repeats one says little

COMMON = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0, attention_dropout=0.0)
LLAMA3_ROPE = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
                   high_freq_factor=4.0, original_max_position_embeddings=48)
LONG_ROPE = dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.5,
                 original_max_position_embeddings=256, short_factor=[1.0, 1.03, 1.1, 1.2, 1.3],
                 long_factor=[1.0, 1.9, 3.1, 4.7, 6.3])
YARN = dict(rope_type="yarn", rope_theta=1000.0, factor=10.0, beta_fast=2.0, beta_slow=0.25,
            mscale=1.0, mscale_all_dim=0.7, original_max_position_embeddings=48,
            llama_4_scaling_beta=0.3)
GEMMA3_ROPE = dict(full_attention=dict(rope_type="linear", rope_theta=200000.0, factor=4.0),
                   sliding_attention=dict(rope_type="default", rope_theta=5000.0))


def plain_rope(theta):
    return dict(rope_type="default", rope_theta=theta)


# name: (architecture in GGUF, prefix of the transformers classes, configuration). D hidden_size,
# F intermediate_size.
FAMILIES = {
    "llama": ("llama", "Llama", dict(
        vocab_size=101, hidden_size=35, intermediate_size=52, num_hidden_layers=2,
        num_attention_heads=5, num_key_value_heads=1, head_dim=24, rms_norm_eps=1e-5,
        max_position_embeddings=384, rope_parameters=LLAMA3_ROPE, tie_word_embeddings=True)),
    "mistral": ("llama", "Mistral", dict(
        vocab_size=99, hidden_size=42, intermediate_size=44, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=3, head_dim=10, rms_norm_eps=1e-5,
        max_position_embeddings=256, rope_parameters=plain_rope(30000.0), sliding_window=20,
        tie_word_embeddings=False)),
    "qwen2": ("qwen2", "Qwen2", dict(
        vocab_size=100, hidden_size=42, intermediate_size=46, num_hidden_layers=3,
        num_attention_heads=7, num_key_value_heads=1, rms_norm_eps=1e-6,
        max_position_embeddings=256, rope_parameters=plain_rope(1000000.0),
        tie_word_embeddings=True)),
    "qwen3": ("qwen3", "Qwen3", dict(
        vocab_size=103, hidden_size=36, intermediate_size=60, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, head_dim=20, rms_norm_eps=1e-6,
        max_position_embeddings=256, rope_parameters=plain_rope(100000.0),
        tie_word_embeddings=False)),
    "phi4mini": ("phi3", "Phi3", dict(
        vocab_size=98, hidden_size=60, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=1, rms_norm_eps=1e-5,
        max_position_embeddings=1024, original_max_position_embeddings=256,
        rope_parameters=LONG_ROPE, tie_word_embeddings=True)),
    "phi4": ("phi3", "Phi3", dict(
        vocab_size=97, hidden_size=40, intermediate_size=44, num_hidden_layers=2,
        num_attention_heads=5, num_key_value_heads=5, rms_norm_eps=1e-5,
        max_position_embeddings=256, original_max_position_embeddings=256,
        rope_parameters=plain_rope(250000.0), tie_word_embeddings=False)),
    "gemma2": ("gemma2", "Gemma2", dict(
        vocab_size=102, hidden_size=28, intermediate_size=36, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=12, query_pre_attn_scalar=12,
        rms_norm_eps=1e-6, max_position_embeddings=256, rope_parameters=plain_rope(10000.0),
        sliding_window=20, attn_logit_softcapping=4.0, final_logit_softcapping=7.0)),
    # As deep as Gemma 2 27B, which files cannot be told from otherwise: its queries are scaled by
    # 1/sqrt(D / H), not by the head.
    "gemma2_27b": ("gemma2", "Gemma2", dict(
        vocab_size=100, hidden_size=8, intermediate_size=6, num_hidden_layers=46,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=4,
        rms_norm_eps=1e-6, max_position_embeddings=256, rope_parameters=plain_rope(10000.0),
        sliding_window=17, attn_logit_softcapping=50.0, final_logit_softcapping=30.0)),
    "gemma3": ("gemma3", "Gemma3", dict(
        vocab_size=100, hidden_size=24, intermediate_size=28, num_hidden_layers=7,
        num_attention_heads=3, num_key_value_heads=1, head_dim=14, query_pre_attn_scalar=14,
        rms_norm_eps=1e-6, max_position_embeddings=256, rope_parameters=GEMMA3_ROPE,
        sliding_window=20)),
    "ministral3": ("mistral3", "Ministral3", dict(
        vocab_size=101, hidden_size=36, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-5,
        max_position_embeddings=480, rope_parameters=YARN, tie_word_embeddings=True)),
}

# Layer tensors: transformers name to GGUF name. Gemma's two norms more change what one of them means.
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GEMMA_NAMES = LAYER_NAMES | {
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
TOP_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def make_model(prefix, config, seed):
    config_class = "Gemma3TextConfig" if prefix == "Gemma3" else prefix + "Config"
    config = getattr(transformers, config_class)(**COMMON | config)
    config._attn_implementation = "eager"
    model = getattr(transformers, prefix + "ForCausalLM")(config).float().eval()
    rng = torch.Generator().manual_seed(seed)
    is_gemma = prefix.startswith("Gemma")
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=rng)
            if "norm" in name:
                one = 0.0 if is_gemma else 1.0  # Gemma's weights are 1 + w
                loud = 4.0 if is_gemma and name == "model.norm.weight" else 0.0
                p.copy_(one + loud + 0.2 * noise)
                # Many loud layers would amplify rounding: of a deep model only the last ones are.
                if "post_" in name and int(name.split(".")[2]) < config.num_hidden_layers - 3:
                    p.copy_(-0.99 + 0.002 * noise)
            elif name.endswith("bias"):
                p.copy_(0.5 * noise)
            elif "embed_tokens" in name:
                # Small beside what the blocks add, or a tied output repeats its input. Gemma scales
                # it by sqrt(D).
                p.copy_((0.1 if is_gemma else 0.3) * noise)
            else:
                p.copy_(1.6 * noise / math.sqrt(p.shape[1]))
    return model


def last_logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


def run(model, ids):
    """The golden of one list of ids, and the least margin of its greedy tokens."""
    result = {"ids": ids, "logits": [float(x) for x in last_logits(model, ids)], "greedy": []}
    margin = math.inf
    for _ in range(GREEDY_TOKENS):
        logits = last_logits(model, ids + result["greedy"])
        best, second = torch.topk(logits, 2).values.tolist()
        margin = min(margin, best - second)
        result["greedy"].append(int(logits.argmax()))
    return result, margin


def worst_noise(model, ids):
    """How far logits move when every weight does by about half a unit in the last place."""
    before = last_logits(model, ids)
    noisy = copy.deepcopy(model)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in noisy.parameters():
            p.mul_(1 + 6e-8 * torch.randn(p.shape, generator=rng))
    return float((last_logits(noisy, ids) - before).abs().max())


def to_interleaved(w, heads):
    """Rows from rotated halves, as transformers has them, to rotated neighbours."""
    head_dim = w.shape[0] // heads
    return w.reshape(heads, 2, head_dim // 2, -1).swapaxes(1, 2).reshape(w.shape)


def llama3_factors(rope, head_dim):
    """What frequencies are divided by (Llama 3.1): 1 for short waves, `factor` for long ones."""
    out = []
    context = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    for i in range(head_dim // 2):
        turns = context / (2 * math.pi * rope["rope_theta"] ** (2 * i / head_dim))
        share = min(max((turns - low) / (high - low), 0.0), 1.0)
        out.append(1 / ((1 - share) / rope["factor"] + share))
    return np.array(out, dtype=np.float32)


def tensors(arch, model, state=None):
    """What the file has of the model, or of numbers that stand beside its own, such as gradients."""
    config, out = model.config, {}
    is_gemma = arch.startswith("gemma")
    names = GEMMA_NAMES if is_gemma else LAYER_NAMES
    for name, p in (state or model.state_dict()).items():
        w = p.numpy().astype(np.float32)
        stem, kind = name.rsplit(".", 1)
        if stem == "lm_head" and config.tie_word_embeddings:
            continue
        if is_gemma and "norm" in stem and not state:
            w = w + np.float32(1)
        if stem in TOP_NAMES:
            out[f"{TOP_NAMES[stem]}.{kind}"] = w
            continue
        layer, part = stem.removeprefix("model.layers.").split(".", 1)
        if arch in ("llama", "mistral3") and names[part] in ("attn_q", "attn_k"):
            is_q = names[part] == "attn_q"
            w = to_interleaved(
                w, config.num_attention_heads if is_q else config.num_key_value_heads)
        out[f"blk.{layer}.{names[part]}.{kind}"] = w
    return out


def write_rope(writer, arch, config, head_dim):
    """Metadata and tensors of the rope; Gemma 3 has one rope for each kind of layer."""
    rope = config.rope_parameters
    if "full_attention" in rope:
        writer.add_float32(f"{arch}.rope.freq_base_swa", rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    if arch != "gemma2":  # its files do not say: always 10000
        writer.add_float32(f"{arch}.rope.freq_base", rope["rope_theta"])
    original = rope.get("original_max_position_embeddings")
    if arch in ("llama", "mistral3", "phi3"):
        share = rope.get("partial_rotary_factor", 1.0)
        writer.add_uint32(f"{arch}.rope.dimension_count", int(head_dim * share))
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(rope, head_dim))
    elif rope["rope_type"] == "longrope":
        for kind in ("long", "short"):
            factors = np.array(rope[f"{kind}_factor"], dtype=np.float32)
            writer.add_tensor(f"rope_factors_{kind}.weight", factors)
        stretch = config.max_position_embeddings / original
        writer.add_uint32(f"{arch}.rope.scaling.original_context_length", original)
        writer.add_float32(f"{arch}.rope.scaling.attn_factor",
                           math.sqrt(1 + math.log(stretch) / math.log(original)))
    elif rope["rope_type"] in ("linear", "yarn"):
        writer.add_string(f"{arch}.rope.scaling.type", rope["rope_type"])
        writer.add_float32(f"{arch}.rope.scaling.factor", rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_uint32(f"{arch}.rope.scaling.original_context_length", original)
        for key, source in (("rope.scaling.yarn_beta_fast", "beta_fast"),
                            ("rope.scaling.yarn_beta_slow", "beta_slow"),
                            ("rope.scaling.yarn_log_multiplier", "mscale_all_dim"),
                            ("attention.temperature_scale", "llama_4_scaling_beta")):
            writer.add_float32(f"{arch}.{key}", rope[source])


def write_gguf(path, arch, model):
    config = model.config
    writer = gguf.GGUFWriter(path, arch)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for key, value in (("context_length", config.max_position_embeddings),
                       ("embedding_length", config.hidden_size),
                       ("block_count", config.num_hidden_layers),
                       ("feed_forward_length", config.intermediate_size),
                       ("attention.head_count", config.num_attention_heads),
                       ("attention.head_count_kv", config.num_key_value_heads),
                       ("vocab_size", config.vocab_size)):
        writer.add_uint32(f"{arch}.{key}", value)
    writer.add_float32(f"{arch}.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if arch not in ("qwen2", "phi3"):
        writer.add_uint32(f"{arch}.attention.key_length", head_dim)
        writer.add_uint32(f"{arch}.attention.value_length", head_dim)
    if arch == "phi3":
        writer.add_uint32(f"{arch}.attention.sliding_window", config.sliding_window or 0)
    elif getattr(config, "sliding_window", None):
        writer.add_uint32(f"{arch}.attention.sliding_window", config.sliding_window)
    if arch == "gemma2":
        writer.add_float32(f"{arch}.attn_logit_softcapping", config.attn_logit_softcapping)
        writer.add_float32(f"{arch}.final_logit_softcapping", config.final_logit_softcapping)
    writer.add_string("tokenizer.ggml.model", "none")
    write_rope(writer, arch, config, head_dim)
    for name, w in tensors(arch, model).items():
        writer.add_tensor(name, np.ascontiguousarray(w))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(name, folder):
    arch, prefix, config = FAMILIES[name]
    for seed in range(100):
        model = make_model(prefix, config, seed)
        rng = np.random.default_rng(seed)
        ids = [int(i) for i in rng.integers(3, config["vocab_size"], LONGER.get(name, LONG))]
        goldens, margins = {}, []
        for key, part in (("short", ids[-SHORT:]), ("long", ids)):
            goldens[key], margin = run(model, part)
            margins.append(margin)
        distinct = min(len(set(g["greedy"])) for g in goldens.values())
        if min(margins) < LEAST_MARGIN or distinct < LEAST_DISTINCT:
            continue
        noise = worst_noise(model, ids)
        if noise < MOST_NOISE:
            break
    else:
        raise SystemExit(f"{name}: no seed with clear greedy tokens")
    path = folder / f"{name}.gguf"
    write_gguf(path, arch, model)
    about = {"script": "bench/peers/make_family_goldens.py",
             "versions": {"torch": torch.__version__.split("+")[0],
                          "transformers": transformers.__version__, "gguf": importlib.metadata.version("gguf")},
             "arch": arch, "class": prefix + "ForCausalLM", "seed": seed}
    text = json.dumps({"about": about} | goldens).replace('], "', '],\n "').replace('}, "', '},\n"')
    (folder / f"{name}.json").write_text(text + "\n")
    spread = np.std(goldens["long"]["logits"])
    print(f"{name}: seed {seed}, {path.stat().st_size} bytes, logits of spread {spread:.2f}, least "
          f"margin {min(margins):.3f}, noise {noise:.1e}, greedy {[g['greedy'] for g in goldens.values()]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *FAMILIES])
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/golden/families")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.names or FAMILIES:
        make(name, args.out)


if __name__ == "__main__":
    main()
