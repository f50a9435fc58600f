"""KempnerForge's own model for a case of forgecheck, its weights filled with the seeded tensors."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from forgecheck.seeding import seeded_parameter
from kempnerforge.config.adapter import AdapterConfig
from kempnerforge.config.model import ModelConfig
from kempnerforge.config.vlm import VLMConfig
from kempnerforge.distributed import pipeline_parallel
from kempnerforge.model import transformer as transformer_module
from kempnerforge.model.adapter import VisionAdapter, build_adapter
from kempnerforge.model.transformer import Transformer
from torch import nn

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@torch.no_grad()
def fill(module: nn.Module, seed: int, prefix: str = "", renamed: dict[str, str] | None = None) -> None:
    """Gives every parameter and buffer of the module its seeded values. `renamed` says which name's values a
    tensor takes if it has none of its own."""
    for own_name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        name = (renamed or {}).get(own_name, prefix + own_name)
        tensor.copy_(torch.from_numpy(seeded_parameter(name, tuple(tensor.shape), seed)))


def skip_initialisation() -> None:
    """Leaves out the random initial values of KempnerForge's modules, once for the whole process: they take more
    time than a small model takes to run, and every one of them is overwritten by `fill`."""
    nn.Linear.reset_parameters = lambda self: None  # type: ignore[method-assign]
    nn.Embedding.reset_parameters = lambda self: None  # type: ignore[method-assign]
    transformer_module.init_weights = lambda model, config: None
    pipeline_parallel.init_weights = lambda model, config: None


def vlm_config(fields: dict[str, Any]) -> VLMConfig:
    """Upstream's configuration of a vision-language architecture; its lists of modalities are tuples."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return VLMConfig.for_arch(values.pop("arch"), **values)


@dataclass
class SeededModel:
    """What runs a case: the transformer, and the adapter before it if the case has one."""

    transformer: Transformer
    adapter: VisionAdapter | None
    dtype: torch.dtype
    device: torch.device

    @property
    def config(self) -> ModelConfig:
        """The section [model], with all defaults."""
        return self.transformer.config


def placed(module: nn.Module, case: dict[str, Any], device: torch.device) -> nn.Module:
    """The module in the case's type and mode, on the device. As everywhere in KempnerForge, the cast takes
    parameters and buffers, and leaves the tables of the rotary embedding in float32."""
    return module.to(device=device, dtype=DTYPES[case["dtype"]]).train(case["mode"] == "train")


def build_model(case: dict[str, Any], device: torch.device) -> SeededModel:
    """KempnerForge's model of a case, ready to run. What upstream raises for a refused case is passed on."""
    config = ModelConfig(**case["model"])
    vlm = vlm_config(case["vlm"]) if "vlm" in case else None
    transformer = Transformer(config, vlm_config=vlm, num_image_tokens=case.get("num_image_tokens", 0))
    fill(transformer, case["seed"])
    adapter = None
    if "adapter" in case:
        fields = dict(case["adapter"])
        feature_dim = fields.pop("feature_dim")
        adapter = build_adapter(AdapterConfig(**fields), in_dim=feature_dim, out_dim=config.dim)
        fill(adapter, case["seed"], prefix="adapter.")
        placed(adapter, case, device)
    placed(transformer, case, device)
    return SeededModel(transformer, adapter, DTYPES[case["dtype"]], device)


def build_stages(case: dict[str, Any], device: torch.device) -> list[nn.Module]:
    """The text model of a case cut into pipeline stages, with fresh weights. A stage knows no tied embeddings: the
    last one gets a copy of them."""
    config = ModelConfig(**case["model"])
    renamed = {"output_head.proj.weight": "token_embedding.embedding.weight"} if config.tie_embeddings else None
    stages = []
    for index in range(case["stages"]):
        stage = pipeline_parallel.build_stage_module(config, index, case["stages"])
        fill(stage, case["seed"], renamed=renamed)
        stages.append(placed(stage, case, device))
    return stages
