#!/usr/bin/env python3
"""The transformers library as a backend:

    forgecheck verify --backend 'exec:PYTHONPATH=harness/python python scripts/transformers_worker.py [DEVICE]'

Builds the Llama, Qwen2, Qwen3, Mistral or Mixtral that a text case with seeded weights is, and runs it; all other cases
are refused with the reason."""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open

import forgecheck
from forgecheck.recording import run as record
from forgecheck.worker import Refused, serve

DEVICE = sys.argv[1] if len(sys.argv) > 1 else "cpu"
DEFAULTS = {
    "n_layers": 32, "n_heads": 32, "dim": 4096, "vocab_size": 32000, "norm_type": "rmsnorm", "norm_eps": 1e-5,
    "activation": "silu", "max_seq_len": 2048, "rope_theta": 10000.0, "tie_embeddings": False, "qk_norm": False,
    "qk_norm_eps": 1e-5, "num_experts": 0, "moe_top_k": 2, "moe_frequency": 1, "moe_router": "softmax_topk",
    "moe_shared_experts": 0, "moe_capacity_factor": 0.0, "moe_packed_experts": False, "moe_ffn_hidden_dim": None,
    "head_dim": None, "qkv_bias": False, "sliding_window": 0, "rope_scaling": "none", "rope_factor": 1.0,
    "rope_low_freq_factor": 1.0, "rope_high_freq_factor": 4.0, "rope_original_max_seq_len": 8192,
}  # fmt: skip
# What no model of transformers here can have: field, and the only value that it may have.
ONLY = {
    "norm_type": "rmsnorm", "activation": "silu", "moe_router": "softmax_topk", "moe_frequency": 1,
    "moe_shared_experts": 0, "moe_capacity_factor": 0.0, "moe_packed_experts": False,
}  # fmt: skip


def family_of(model):
    """The class that computes this: at most one of its properties may be set."""
    families = {
        "Mixtral": model["num_experts"] > 0,
        "Qwen3": model["qk_norm"],
        "Qwen2": model["qkv_bias"],
    }
    names = [name for name, wanted in families.items() if wanted]
    if len(names) > 1:
        raise Refused(f"no model of transformers is {' and '.join(names)} at once")
    if not names:
        return "Mistral" if model["sliding_window"] else "Llama"
    if model["sliding_window"] and names[0] == "Qwen3":
        raise Refused("a Qwen3 with a window")
    return names[0]


def positions_of(model):
    rope = {"rope_type": "default", "rope_theta": model["rope_theta"]}
    if model["rope_scaling"] == "none":
        return rope
    rope |= {"rope_type": model["rope_scaling"], "factor": model["rope_factor"]}
    if model["rope_scaling"] == "llama3":
        rope |= {
            "low_freq_factor": model["rope_low_freq_factor"],
            "high_freq_factor": model["rope_high_freq_factor"],
            "original_max_position_embeddings": model["rope_original_max_seq_len"],
        }
    return rope


def config_of(model):
    for field, value in ONLY.items():
        if model[field] != value:
            raise Refused(f"model.{field} = {model[field]}: only {value}")
    kind = family_of(model)
    if kind == "Qwen3" and model["qk_norm_eps"] != model["norm_eps"]:
        raise Refused("a Qwen3 has one eps for all norms")
    if kind == "Mixtral" and model["moe_ffn_hidden_dim"] is None:
        raise Refused("the width of experts must be given: model.moe_ffn_hidden_dim")
    if "ffn_hidden_dim" not in model:
        raise Refused("the width of the feed-forward must be given: model.ffn_hidden_dim")
    width = model["moe_ffn_hidden_dim"] if kind == "Mixtral" else model["ffn_hidden_dim"]
    fields = {
        "hidden_size": model["dim"], "num_hidden_layers": model["n_layers"], "num_attention_heads": model["n_heads"],
        "num_key_value_heads": model.get("n_kv_heads") or model["n_heads"], "vocab_size": model["vocab_size"],
        "intermediate_size": width, "max_position_embeddings": model["max_seq_len"], "rms_norm_eps": model["norm_eps"],
        "tie_word_embeddings": model["tie_embeddings"], "rope_parameters": positions_of(model),
        "head_dim": model["head_dim"] or model["dim"] // model["n_heads"],
    }  # fmt: skip
    if kind == "Mixtral":
        fields |= {"num_local_experts": model["num_experts"], "num_experts_per_tok": model["moe_top_k"]}
    if kind in ("Mistral", "Mixtral"):
        fields["sliding_window"] = model["sliding_window"] or None
    if kind == "Qwen2":
        if model["head_dim"] is not None:
            raise Refused("a Qwen2 with heads of a width of their own")
        fields |= {"use_sliding_window": model["sliding_window"] > 0, "sliding_window": model["sliding_window"] or None,
                   "max_window_layers": 0}  # fmt: skip
        del fields["head_dim"]
    return kind, getattr(transformers, f"{kind}Config")(**fields)


def read_case(path):
    with safe_open(path, framework="pt") as file:
        golden = json.loads(file.metadata()["forgecheck"])
        inputs = {name.removeprefix("input."): file.get_tensor(name) for name in file.keys()}
    case = golden.get("case", {})
    if "case" not in golden or golden["weights"] != "seeded":
        raise Refused("only cases with seeded weights")
    if others := sorted({"vlm", "adapter", "stages", "output_slice", "moe_step", "greedy_from"} & case.keys()):
        raise Refused(f"{others[0]} is not for models of transformers")
    if case.get("mode") == "train" or case["run"] not in ("forward", "decode") or inputs.keys() != {"tokens"}:
        raise Refused("only forward and decode, in eval mode, of tokens alone")
    return case, inputs["tokens"].long()


def takes_grouped_products(config, size):
    """Whether rows of experts' weights and inputs start at multiples of 16 bytes, as torch's grouped product wants."""
    return all(width * size % 16 == 0 for width in (config.hidden_size, config.intermediate_size))


def run(path):
    case, tokens = read_case(path)
    kind, config = config_of({**DEFAULTS, **case["model"]})
    size = 2 if case.get("dtype") == "bfloat16" else 4
    if kind == "Mixtral" and not takes_grouped_products(config, size):
        config._experts_implementation = "eager"
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    forgecheck.seed(model, case["seed"])
    if case.get("dtype") == "bfloat16":
        # .to() would round the frequencies of the rotary positions too, which a loaded model keeps in float32.
        model.to(torch.bfloat16).model.rotary_emb = type(model.model.rotary_emb)(config=config)
    model.to(DEVICE)
    chunks = case["chunks"] if case["run"] == "decode" else None
    return record(model.eval(), tokens.to(DEVICE), chunks=chunks).taps


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve(run)
