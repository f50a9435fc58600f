"""Is MyModel a Llama-like model? Run it, for a page of the report: pytest examples --forgecheck-html pages"""
from __future__ import annotations

import torch
from my_model import MyModel

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


def test_my_model_computes_what_its_configuration_says(forgecheck):
    torch.manual_seed(0)
    tokens = torch.arange(24).reshape(2, 12) * 7 % 61
    assert forgecheck.check(MyModel(), tokens, case=CASE, names=NAMES)
