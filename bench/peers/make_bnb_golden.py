# Makes tests/golden/bnb: a random Llama of one layer as transformers saves it in 4 bits, and what
# bitsandbytes makes of two of its weights. transformers 5.23.0, bitsandbytes 0.50.2, torch 2.15.0 on a CPU.
import sys

import bitsandbytes as bnb
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

here = "tests/golden/bnb"
source = sys.argv[1]  # a folder for the float model
torch.manual_seed(5)
# Rows of 64 and of 96 elements: blocks of 64 cross the latter.
config = LlamaConfig(vocab_size=32, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4,
                     num_key_value_heads=2, head_dim=16, tie_word_embeddings=True, dtype="float32")
LlamaForCausalLM(config).save_pretrained(source)
four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                               bnb_4bit_compute_dtype=torch.float32)
model = AutoModelForCausalLM.from_pretrained(source, quantization_config=four_bits, device_map="cpu",
                                             dtype=torch.float32)
model.save_pretrained(here)
layer = model.model.layers[0]
weights = {"q_proj": layer.self_attn.q_proj.weight, "down_proj": layer.mlp.down_proj.weight}
save_file({name: bnb.functional.dequantize_4bit(w.data, w.quant_state).float().contiguous()
           for name, w in weights.items()}, here + "/expected.bin")
