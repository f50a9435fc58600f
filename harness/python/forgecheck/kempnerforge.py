"""KempnerForge's Transformer, of any architecture, and copies of it. Names are its own, so no rules are needed."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from typing import Any

import torch
from torch import Tensor, nn

from forgecheck.errors import ForgecheckError
from forgecheck.family import Family, Inputs, Output
from forgecheck.names import Heads, NameRules
from forgecheck.tensors import whole

# Fields of its configuration, by which a copy in another package is known too.
_CONFIG_FIELDS = {"dim", "n_layers", "n_heads", "n_kv_heads", "norm_eps", "rope_theta", "moe_frequency"}
_CONTEXT = ("inputs_embeds", "prefix_embeds", "image_features", "image_mask", "modality_ids", "key_padding_mask")
_VISION = ("vision_features", "frame_mask")
MAX_TEXT_LEN = 512  # its default; no more than fits is asked for


def is_kempnerforge(module: nn.Module) -> bool:
    """Whether this is KempnerForge's Transformer, a copy or a class derived from it."""
    config = getattr(module, "config", None)
    named = any(base.__name__ == "Transformer" for base in type(module).__mro__)
    if not named or not dataclasses.is_dataclass(config):
        return False
    return {field.name for field in dataclasses.fields(config)} >= _CONFIG_FIELDS


class KempnerForge(Family):
    """The parts of it are looked up in its own package, so that a copy is run with the copy's."""

    backend = "kempnerforge"
    heads_first = False

    def __init__(self, module: nn.Module, entry: nn.Module, rules: NameRules) -> None:
        super().__init__(module, entry, None, rules)

    def heads(self) -> Heads:
        return Heads.of(self.case["model"])

    @property
    def _package(self) -> str:
        """The package of the model's class or of the one it is derived from: what is before `.model.transformer`."""
        modules = (base.__module__ for base in type(self.module).__mro__)
        return next(
            (name.removesuffix(".model.transformer") for name in modules if name.endswith(".model.transformer")), ""
        )

    def _own(self, module: str, name: str) -> Any:
        """Something of its package."""
        try:
            return getattr(importlib.import_module(f"{self._package}.{module}"), name)
        except (ImportError, AttributeError, ValueError):
            raise ForgecheckError(f"{type(self.module).__name__}: has no {module}.{name} in its package") from None

    @property
    def version(self) -> str:
        return getattr(sys.modules.get(self._package.split(".")[0]), "__version__", "unknown")

    def read_case(self) -> dict[str, Any]:
        config: Any = self.module.config
        model = {
            field.name: plain(getattr(config, field.name))
            for field in dataclasses.fields(config)
            if getattr(config, field.name) != field.default
        }
        case: dict[str, Any] = {"model": model}
        if vlm := self._vlm():
            case["vlm"] = vlm
            fits = config.max_seq_len - (self._image_tokens() if vlm["arch"] != "cross_attention" else 0)
            vlm["max_text_len"] = max(1, min(MAX_TEXT_LEN, fits))
        if count := self._image_tokens():
            case["num_image_tokens"] = count
        return case

    def _image_tokens(self) -> int:
        return int(getattr(self.module, "_mot_n_image", 0))

    def _vlm(self) -> dict[str, Any] | None:
        """The section [vlm], which the model does not keep: read from what was built of it."""
        module: Any = self.module
        if modalities := getattr(module, "_mot_modalities", ()):
            return {"arch": "mot", "mot_modalities": list(modalities)}
        if modalities := getattr(module, "_moma_modalities", ()):
            groups = {name: next(iter(module.layers.values())).mlp.experts[name] for name in modalities}
            return {
                "arch": "moma",
                "moma_modalities": list(modalities),
                "moma_experts_per_modality": {name: group.num_experts for name, group in groups.items()},
                "moma_capacity_factor": _capacity_factor(groups),
                "moma_gumbel_noise": next(iter(groups.values())).router.gumbel_noise,
            }
        if cadence := getattr(module, "_ca_cadence", 0):
            vlm = {"arch": "cross_attention", "cross_attention_every_n_layers": cadence}
            for block in module.cross_attention_layers.values():
                vlm["cross_attention_n_heads"] = block.attn.n_heads
                vlm["cross_attention_n_kv_heads"] = block.attn.n_kv_heads
            return vlm
        return None

    def complete(self, case: dict[str, Any], inputs: Inputs) -> dict[str, Any]:
        """The case with these inputs: a text model with images in front of the text is a joint decoder."""
        if "prefix_embeds" in inputs and "vlm" not in case:
            config: Any = self.module.config
            fits = config.max_seq_len - inputs["prefix_embeds"].shape[1]
            case = {**case, "vlm": {"arch": "joint_decoder", "max_text_len": max(1, min(MAX_TEXT_LEN, fits))}}
        noisy = case.get("vlm", {}).get("moma_gumbel_noise", False) and self.module.training
        if noisy:
            raise ForgecheckError(
                "moma_gumbel_noise = true: in training mode the routers draw noise, so that a run "
                "cannot be repeated; call model.eval()"
            )
        return case

    def forward(self, inputs: Inputs) -> Output:
        if self.call is not None:
            return super().forward(inputs)
        if vision := [name for name in _VISION if name in inputs]:
            raise ForgecheckError(
                f"inputs: {vision[0]} belong to the adapter, which is not part of the Transformer: give "
                "prefix_embeds or image_features"
            )
        arguments: dict[str, Any] = {}
        if context := {name: inputs[name] for name in _CONTEXT if name in inputs}:
            arguments["modality"] = self._own("model.modality", "ModalityContext")(**context)
        if "doc_ids" in inputs:
            arguments["doc_ids"] = inputs["doc_ids"]
        return Output(self.entry(inputs.get("tokens"), **arguments))

    def parts(self, target: str, output: Any) -> dict[str, Tensor]:
        if target.endswith(".router") and hasattr(self.module.get_submodule(target), "gumbel_noise"):
            return {f"{target}.scores": output[0], f"{target}.indices": output[1]}
        return super().parts(target, output)

    def losses(self, output: Output, labels: Tensor) -> dict[str, Tensor]:
        """The objective of its training loop, on the logits in float32."""
        cross_entropy = self._own("training.loss", "cross_entropy_loss")(output.logits.float(), labels)
        total = cross_entropy
        config: Any = self.module.config
        if config.is_moe:
            routers = self._router_losses()
            total = total + config.moe_aux_loss_weight * routers["aux_loss"]
            total = total + config.moe_router_z_loss_weight * routers["z_loss"]
        return {"loss.cross_entropy": cross_entropy, "loss.total": total}

    def _router_losses(self) -> dict[str, Tensor]:
        getters = {"aux_loss": "get_moe_aux_loss", "z_loss": "get_moe_router_z_loss"}
        return {tap: getattr(self.module, name)() for tap, name in getters.items() if hasattr(self.module, name)}

    def after(self) -> dict[str, Tensor]:
        taps = self._router_losses()
        for layer, counts in getattr(self.module, "get_expert_counts", dict)().items():
            taps[f"layers.{layer}.mlp.expert_counts"] = counts
        for layer, groups in getattr(self.module, "get_moma_expert_counts", dict)().items():
            for modality, counts in groups.items():
                taps[f"layers.{layer}.mlp.experts.{modality}.expert_counts"] = counts
        for name, value in self.module.state_dict().items():
            if name.endswith((".router.expert_bias", ".router.expert_ema")):
                taps[self.names.find(name) or name] = value
        return taps

    def decode(self, inputs: Inputs, chunks: list[int]) -> dict[str, Tensor]:
        config: Any = self.module.config
        parameter = next(self.module.parameters())
        batch, length = inputs["tokens"].shape
        cache = self._own("model.attention", "KVCache")
        size = (batch, length, config.n_kv_heads, config.head_dim)
        caches = [cache(*size, parameter.dtype, parameter.device) for _ in range(config.n_layers)]
        parts = [self.entry(part, kv_caches=caches) for part in torch.split(inputs["tokens"], chunks, dim=1)]
        taps = {"logits": torch.cat([whole(part) for part in parts], dim=1)}
        for layer, cached in enumerate(caches):
            taps[f"layers.{layer}.kv_cache.k"] = cached.k[:, :, : cached.seq_len]
            taps[f"layers.{layer}.kv_cache.v"] = cached.v[:, :, : cached.seq_len]
        return taps


def _capacity_factor(groups: dict[str, Any]) -> float:
    """The capacity factor of expert choice; 0 stands for 1 / experts of the modality."""
    factors = {name: group.router.capacity_factor for name, group in groups.items()}
    if all(factors[name] == 1.0 / group.num_experts for name, group in groups.items()):
        return 0.0
    if len(set(factors.values())) > 1:
        raise ForgecheckError(f"moma_capacity_factor: one factor for all modalities is needed, not {factors}")
    return float(next(iter(factors.values())))


def plain(value: Any) -> Any:
    """A value of a configuration as JSON has it."""
    if isinstance(value, str):
        return str(value.value) if hasattr(value, "value") else str(value)
    return list(value) if isinstance(value, tuple) else value
