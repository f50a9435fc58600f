"""Models of the transformers library, tiny and with random weights: one of each kind that the reference has."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

VERSION = int(transformers.__version__.split(".")[0])
SIZES = {
    "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96,
    "num_hidden_layers": 2, "vocab_size": 61, "max_position_embeddings": 64, "tie_word_embeddings": False,
}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2}


def rope(theta=10000.0, factor=8.0):
    """The rotary positions of Llama 3.1 in a configuration, whose fields are others since version 5."""
    scaling = {"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 32}  # fmt: skip
    if VERSION >= 5:
        return {"rope_parameters": {"rope_theta": theta, **scaling}}
    return {"rope_theta": theta, "rope_scaling": scaling}


FAMILIES = {
    "llama": ("Llama", {}),
    "llama, tied": ("Llama", {"tie_word_embeddings": True}),
    "llama 3.1": ("Llama", rope()),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral, window": ("Mistral", {"sliding_window": 5}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2, window": ("Qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}),
    "mixtral, narrow": ("Mixtral", {**EXPERTS, "num_local_experts": 4, "intermediate_size": 56}),
    "mixtral": ("Mixtral", {**EXPERTS, "num_local_experts": 4}),
    "qwen3": ("Qwen3", {"head_dim": 16, "rms_norm_eps": 1e-6}),
    "qwen3, wide": ("Qwen3", {"head_dim": 24, "rms_norm_eps": 1e-6}),
    "qwen3_moe": ("Qwen3Moe", {**EXPERTS, "head_dim": 16, "num_experts": 4, "moe_intermediate_size": 48,
                               "norm_topk_prob": True}),
}  # fmt: skip


def class_of(name):
    return getattr(transformers, f"{FAMILIES[name][0]}ForCausalLM")


def make(name, fields=None, dtype=torch.float32):
    """A model of the family, with random weights (norms too), in eval mode."""
    torch.manual_seed(5)
    kind, own = FAMILIES[name]
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **own, **(fields or {})})
    model = class_of(name)(config)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith(".bias"):
                parameter.uniform_(-0.5, 0.5)
            elif parameter.dim() == 1:
                parameter.uniform_(0.75, 1.25)
            else:  # so large that every part of the model shows in what follows it
                parameter.normal_(0.0, parameter.shape[-1] ** -0.5)
    return model.to(dtype).eval()
