"""Causal language models of the transformers library that the reference can express."""

from __future__ import annotations

import inspect
import json
from typing import Any

import torch
from torch import Tensor, nn

from forgecheck.description import architecture_of_config
from forgecheck.errors import ForgecheckError
from forgecheck.family import Family, Inputs, Output, read_output
from forgecheck.names import Heads, NameRules

# Names: transformers, models/{llama,mistral,mixtral,qwen2,qwen3,qwen3_moe}/modeling_*.py of versions 4 and 5.
_EXPERTS = "layers.*.mlp.experts"
NAMES = {
    "model.embed_tokens": "token_embedding",
    "model.layers.*": "layers.*",
    "model.layers.*.input_layernorm": "layers.*.attention_norm",
    "model.layers.*.self_attn": "layers.*.attention",
    "model.layers.*.post_attention_layernorm": "layers.*.mlp_norm",
    "model.layers.*.mlp.gate": "layers.*.mlp.router",
    "model.layers.*.mlp.gate.weight": "layers.*.mlp.router.gate.weight",
    "model.layers.*.mlp.experts.gate_up_proj": _EXPERTS + ".#.{gate_proj,up_proj}.weight",
    "model.layers.*.mlp.experts.down_proj": _EXPERTS + ".#.down_proj.weight",
    "model.layers.*.block_sparse_moe": "layers.*.mlp",
    "model.layers.*.block_sparse_moe.gate": "layers.*.mlp.router.gate",
    "model.layers.*.block_sparse_moe.experts.*.w1": _EXPERTS + ".*.gate_proj",
    "model.layers.*.block_sparse_moe.experts.*.w3": _EXPERTS + ".*.up_proj",
    "model.layers.*.block_sparse_moe.experts.*.w2": _EXPERTS + ".*.down_proj",
    "model.norm": "norm",
    "lm_head": "output_head",
}


def is_hugging_face(module: nn.Module) -> bool:
    """Whether this is a model of the transformers library."""
    config = getattr(module, "config", None)
    return hasattr(config, "model_type") and hasattr(config, "to_json_string")


def config_text(config: Any) -> str:
    """Its config.json, with every field under all of its names: versions of the library write different ones."""
    fields = json.loads(config.to_json_string(use_diff=False))
    for name, written in getattr(config, "attribute_map", {}).items():
        if written in fields:
            fields.setdefault(name, fields[written])
    return json.dumps(fields)


class HuggingFace(Family):
    """A model whose configuration the program reads as it reads a checkpoint's config.json."""

    backend = "transformers"
    heads_first = False

    def __init__(self, module: nn.Module, entry: nn.Module, rules: NameRules) -> None:
        super().__init__(module, entry, None, {**NAMES, **rules})

    def heads(self) -> Heads:
        return Heads.of(self.case["model"])

    @property
    def version(self) -> str:
        import transformers

        return transformers.__version__

    def read_case(self) -> dict[str, Any]:
        module: Any = self.module
        if not hasattr(module, "lm_head"):
            raise ForgecheckError(
                f"{type(module).__name__}: has no lm_head: give the model for causal language modelling"
            )
        case = architecture_of_config("config.json", config_text(module.config))
        # Its loss leaves the routers' out, unless it returns their logits.
        if getattr(module.config, "output_router_logits", False):
            raise ForgecheckError(
                "config.json: output_router_logits = true: its loss of the routers is not the sum over "
                "the layers that the reference computes"
            )
        if "num_experts" in case["model"]:
            case["model"]["moe_aux_loss_weight"] = 0.0
        return case

    def forward(self, inputs: Inputs) -> Output:
        if self.call is not None:
            return super().forward(inputs)
        known = {"tokens": "input_ids", "inputs_embeds": "inputs_embeds", "labels": "labels"}
        if others := sorted(inputs.keys() - known.keys()):
            raise ForgecheckError(f"inputs: a model of transformers takes no {', '.join(others)}")
        return read_output(self.entry(**{known[name]: value for name, value in inputs.items()}, use_cache=False))

    def parts(self, target: str, output: Any) -> dict[str, Tensor]:
        if target.endswith(".router") and isinstance(output, tuple) and len(output) == 3:
            return {f"{target}.gate": output[0], f"{target}.weights": output[1], f"{target}.indices": output[2]}
        return super().parts(target, output)

    def labels(self, labels: Tensor) -> Tensor:
        """transformers predicts the label of the next position: its loss has no term for the last one."""
        return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], dim=1)

    def losses(self, output: Output, labels: Tensor) -> dict[str, Tensor]:
        losses = super().losses(output, labels)
        return {**losses, "loss.total": losses["loss.cross_entropy"]}

    def decode(self, inputs: Inputs, chunks: list[int]) -> dict[str, Tensor]:
        from transformers import DynamicCache

        cache: Any = DynamicCache()
        accepted = inspect.signature(type(self.module).forward).parameters
        name = "cache" if "cache" in accepted else "past_key_values"
        parts = [
            self.entry(input_ids=part, use_cache=True, **{name: cache}).logits
            for part in torch.split(inputs["tokens"], chunks, dim=1)
        ]
        taps = {"logits": torch.cat(parts, dim=1)}
        if hasattr(cache, "layers"):
            filled = [(layer.keys, layer.values) for layer in cache.layers]
        else:  # before version 4.54
            filled = list(zip(cache.key_cache, cache.value_cache, strict=True))
        for index, (keys, values) in enumerate(filled):
            taps[f"layers.{index}.kv_cache.k"], taps[f"layers.{index}.kv_cache.v"] = keys, values
        return taps
