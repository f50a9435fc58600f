"""Is MyModel the Llama-like model that its configuration says? docs/tutorial.md goes through it."""

from __future__ import annotations

import torch
from my_model import MyModel

import forgecheck

CASE = "dense[dim=64,n_layers=2,n_heads=4,n_kv_heads=2,vocab_size=61,ffn_hidden_dim=96,max_seq_len=64]"
NAMES = {
    "wte": "token_embedding",
    "blocks.*": "layers.*",
    "blocks.*.ln_1": "layers.*.attention_norm",
    "blocks.*.wqkv": "layers.*.attention.{q_proj,k_proj,v_proj}",
    "blocks.*.wo": "layers.*.attention.o_proj",
    "blocks.*.ln_2": "layers.*.mlp_norm",
    "blocks.*.w1": "layers.*.mlp.gate_proj",
    "blocks.*.w3": "layers.*.mlp.up_proj",
    "blocks.*.w2": "layers.*.mlp.down_proj",
    "ln_f": "norm",
    "head": "output_head",
}
TOKENS = torch.arange(24).reshape(2, 12) * 7 % 61

if __name__ == "__main__":
    model = forgecheck.seed(MyModel(), 7, case=CASE, names=NAMES)
    report = forgecheck.check(model, TOKENS, case=CASE, names=NAMES)
    print(report)
    report.save_html("my_model.html")
