"""Runs a case on KempnerForge's model and collects the trace: what every module returned, decisions, losses, gradients
and the state afterwards, under the names of forgecheck's taps."""
from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
from kempnerforge.config.registry import registry
from kempnerforge.model import moma
from kempnerforge.model.attention import KVCache
from kempnerforge.model.generate import generate
from kempnerforge.model.modality import ModalityContext
from kempnerforge.model.vlm import _prefix_key_padding_mask, _project_visual_features, _visual_token_mask
from kempnerforge.training.loss import z_loss
from torch import Tensor, nn

from seeded_model import SeededModel, build_model, build_stages

Trace = dict[str, Tensor]
KNOWN_FIELDS = {
    "model", "vlm", "adapter", "num_image_tokens", "inputs", "seed", "mode", "dtype", "run", "output_slice",
    "moe_step", "stages", "chunks", "generate", "loss", "mot_moe_totals", "greedy_from",
}  # fmt: skip
KNOWN_INPUTS = {
    "tokens", "inputs_embeds", "prefix_embeds", "image_features", "image_mask", "vision_features", "frame_mask",
    "modality_ids", "key_padding_mask", "doc_ids", "labels",
}  # fmt: skip
# Modules whose output is not a tap: those inside one expert or a group of experts, the linear layers inside the
# embedding and the head, and the lists that hold modules.
UNTAPPED = re.compile(r"\.experts(\.\w+)?$|\.experts\.\d+\.|^token_embedding\.embedding$|^output_head\.proj$")
OUTPUT_PROJECTION = re.compile(r"\.o_proj(?=\.|$)")


class NotRecorded(Exception):
    """A case that this script does not record, with the reason."""


def has_experts(model: dict[str, Any]) -> bool:
    """Whether any layer of the configuration is a mixture of experts."""
    return model.get("num_experts", 0) > 0 and model.get("moe_frequency", 1) <= model.get("n_layers", 32)


def check_known(case: dict[str, Any], inputs: Trace) -> None:
    """Refuses options that this script does not follow, or in which KempnerForge and forgecheck are known to differ."""
    if unknown := sorted(case.keys() - KNOWN_FIELDS):
        raise NotRecorded(f"unknown field of the case: {', '.join(unknown)}")
    if unknown := sorted(name for name in inputs if name not in KNOWN_INPUTS and not name.startswith("gumbel.")):
        raise NotRecorded(f"unknown input: {', '.join(unknown)}")
    needed = {"loss": "labels", "gradients": "labels", "decode": "tokens", "generate": "tokens"}.get(case["run"])
    if needed is not None and needed not in inputs:
        raise NotRecorded(f"run = {case['run']} needs input.{needed}")
    if case.get("mot_moe_totals") and has_experts(case["model"]):
        raise NotRecorded("mot_moe_totals: KempnerForge does not sum over the routers of a MoT model (D2)")
    if case["run"] == "generate" and case["generate"].get("temperature", 0) != 0:
        raise NotRecorded("sampled generation: the draws are not KempnerForge's")
    if case.get("stages") and not inputs.keys() <= {"tokens", "labels"}:
        raise NotRecorded("stages: KempnerForge's pipeline stages take tokens and nothing else")
    if case.get("stages") and "vlm" in case:
        raise NotRecorded("stages: KempnerForge's pipeline stages are text models")


def record_module(taps: Trace, name: str, module: nn.Module) -> Callable[..., None]:
    """A hook that keeps a module's output: several under the name with a suffix, by modality or by what a router
    returns."""
    first = "scores" if isinstance(module, moma.ExpertChoiceSigmoidRouter) else "weights"

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            taps[name] = output
        elif isinstance(output, dict):
            taps.update({f"{name}.{modality}": part for modality, part in output.items()})
        else:
            taps[f"{name}.{first}"], taps[f"{name}.indices"] = output

    return hook


def record_input(taps: Trace, name: str) -> Callable[..., None]:
    """A hook that keeps what a module reads."""

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        taps[name] = inputs[0]

    return hook


@contextlib.contextmanager
def tapped(model: nn.Module) -> Iterator[Trace]:
    """While this lasts, every call of the model's modules is kept in the trace."""
    taps: Trace = {}
    handles = []
    for name, module in model.named_modules():
        if not name or isinstance(module, nn.ModuleDict | nn.ModuleList) or UNTAPPED.search(name):
            continue
        if OUTPUT_PROJECTION.search(name):
            read = record_input(taps, OUTPUT_PROJECTION.sub(".context", name))
            handles.append(module.register_forward_pre_hook(read))
        elif name.endswith(".down_proj"):
            read = record_input(taps, name.removesuffix("down_proj") + "hidden")
            handles.append(module.register_forward_pre_hook(read))
        else:
            tap = "logits" if name == "output_head" else name
            handles.append(module.register_forward_hook(record_module(taps, tap, module)))
    try:
        yield taps
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def given_noise(model: nn.Module, inputs: Trace, dtype: torch.dtype) -> Iterator[None]:
    """While this lasts, MoMa's routers read the difference of their two noise samples from the inputs: the first
    sample is that difference and the second is zero."""
    samples: list[Tensor] = []
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, moma.ExpertChoiceSigmoidRouter):
            key = "gumbel." + name.replace(".mlp.experts.", ".").removesuffix(".router")

            def put(_module: nn.Module, _inputs: Any, key: str = key) -> None:
                if key in inputs:
                    noise = inputs[key].to(dtype)
                    samples[:] = [noise, torch.zeros_like(noise)]

            handles.append(module.register_forward_pre_hook(put))

    def next_sample(logits: Tensor) -> Tensor:
        if not samples:
            raise NotRecorded("the case has no input.gumbel for a router that needs noise")
        return samples.pop(0)

    original, moma._gumbel_like = moma._gumbel_like, next_sample
    try:
        yield
    finally:
        moma._gumbel_like = original
        for handle in handles:
            handle.remove()


def project_vision(model: SeededModel, inputs: Trace) -> Tensor:
    """Image tokens as KempnerForge makes them of an encoder's output, frames folded into the batch. Pixels have two
    axes more than features: one is added here and the encoder takes it away again."""
    if model.adapter is None:
        raise NotRecorded("vision_features without an adapter")
    features = inputs["vision_features"]
    video = features.dim() == 4
    wrapper = SimpleNamespace(
        vision_encoder=lambda pixels: pixels.squeeze(1),
        adapter=model.adapter,
        frames_per_clip=features.shape[1] if video else 1,
    )
    return _project_visual_features(wrapper, features.unsqueeze(2 if video else 1))  # type: ignore[arg-type]


def modality_context(case: dict[str, Any], model: SeededModel, inputs: Trace, taps: Trace) -> ModalityContext | None:
    """Everything but tokens and documents that the forward call reads; None for plain text."""
    names = ("inputs_embeds", "prefix_embeds", "image_features", "image_mask", "modality_ids", "key_padding_mask")
    fields: dict[str, Any] = {name: inputs[name] for name in names if name in inputs}
    if "vision_features" in inputs:
        embeds = project_vision(model, inputs)
        taps["adapter"] = embeds
        frame_mask, count = inputs.get("frame_mask"), embeds.shape[1]
        if case.get("vlm", {}).get("arch") == "cross_attention":
            fields["image_features"] = embeds
            if frame_mask is not None:
                fields["image_mask"] = _visual_token_mask(frame_mask, count)
        else:
            fields["prefix_embeds"] = embeds
            if frame_mask is not None:
                fields["key_padding_mask"] = _prefix_key_padding_mask(frame_mask, count, inputs["tokens"])
    if "output_slice" in case:
        fields["output_slice"] = slice(*case["output_slice"])
    return ModalityContext(**fields) if fields else None


def forward(case: dict[str, Any], model: SeededModel, inputs: Trace) -> Trace:
    """The forward call and the state after it."""
    transformer = model.transformer
    if "moe_step" in case:
        transformer.set_moe_step(*case["moe_step"])
    with tapped(transformer) as taps, given_noise(transformer, inputs, model.dtype):
        context = modality_context(case, model, inputs, taps)
        transformer(inputs.get("tokens"), modality=context, doc_ids=inputs.get("doc_ids"))
    taps["aux_loss"] = transformer.get_moe_aux_loss()
    taps["z_loss"] = transformer.get_moe_router_z_loss()
    for layer, counts in transformer.get_expert_counts().items():
        taps[f"layers.{layer}.mlp.expert_counts"] = counts
    for layer, groups in transformer.get_moma_expert_counts().items():
        for modality, counts in groups.items():
            taps[f"layers.{layer}.mlp.experts.{modality}.expert_counts"] = counts
    for name, value in transformer.state_dict().items():
        if name.endswith((".router.expert_bias", ".router.expert_ema")):
            taps[name] = value
    return taps


def add_loss(case: dict[str, Any], model: SeededModel, labels: Tensor, taps: Trace) -> None:
    """The objective of KempnerForge's training loop, on the logits in float32."""
    options = case.get("loss", {})
    kind = options.get("kind", "cross_entropy")
    logits, config = taps["logits"].float(), model.config
    chunk = {"chunk_size": options["chunk_size"]} if "chunk_size" in options else {}
    one_chunk = labels.numel() <= options.get("chunk_size", 4096)
    if kind == "chunked_cross_entropy" and one_chunk and not (labels != -100).any():
        raise NotRecorded("one chunk, every label ignored: the loss is NaN in KempnerForge, 0 in forgecheck (D4)")
    cross_entropy = registry.get_loss(kind)(logits, labels, **chunk)
    logit_z = z_loss(logits, options.get("z_loss_weight", 0.0))
    total = cross_entropy + logit_z
    if config.is_moe:
        total = total + config.moe_aux_loss_weight * taps["aux_loss"]
        total = total + config.moe_router_z_loss_weight * taps["z_loss"]
    taps.update({"loss.cross_entropy": cross_entropy, "loss.logit_z": logit_z, "loss.total": total})


def gradients(model: SeededModel, inputs: Trace, taps: Trace) -> Trace:
    """The gradient of loss.total in every parameter that took part, and in the float inputs: zero in those that did
    not."""
    taps["loss.total"].backward()
    leaves: dict[str, Tensor] = dict(model.transformer.named_parameters())
    if model.adapter is not None:
        leaves |= {f"adapter.{name}": value for name, value in model.adapter.named_parameters()}
    found = {f"grad.{name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    for name in ("prefix_embeds", "image_features"):
        if name in inputs:
            leaf = inputs[name]
            found[f"grad.input.{name}"] = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    return found


def staged_logits(case: dict[str, Any], model: SeededModel, tokens: Tensor) -> Tensor:
    """The logits of the model cut into pipeline stages, one stage after the other."""
    hidden = tokens
    for stage in build_stages(case, model.device):
        hidden = stage(hidden)
    return hidden[:, slice(*case.get("output_slice", [None, None]))]


def decode(case: dict[str, Any], model: SeededModel, tokens: Tensor) -> Trace:
    """The tokens in chunks, each appended to the caches of those before it."""
    if any(chunk > 1 for chunk in case["chunks"][1:]):
        raise NotRecorded("a chunk of several tokens on a filled cache: KempnerForge's mask is wrong there (D1)")
    config = model.config
    batch, length = tokens.shape
    size = (batch, length, config.n_kv_heads, config.head_dim)
    caches = [KVCache(*size, model.dtype, model.device) for _ in range(config.n_layers)]
    parts = [model.transformer(part, kv_caches=caches) for part in tokens.split(case["chunks"], dim=1)]
    taps = {"logits": torch.cat(parts, dim=1)}
    for layer, cache in enumerate(caches):
        taps[f"layers.{layer}.kv_cache.k"] = cache.k[:, :, : cache.seq_len]
        taps[f"layers.{layer}.kv_cache.v"] = cache.v[:, :, : cache.seq_len]
    return taps


def prepared(case: dict[str, Any], given: Trace, device: torch.device) -> tuple[SeededModel, Trace]:
    """The model of a case that this script follows, and the inputs as the model takes them."""
    check_known(case, given)
    model = build_model(case, device)
    inputs = {
        name: value.to(device=device, dtype=model.dtype if value.is_floating_point() else None)
        for name, value in given.items()
    }
    return model, inputs


def timed_case(case: dict[str, Any], given: Trace, device: torch.device, repeat: int, compiled: bool) -> list[float]:
    """The seconds that each of `repeat` runs took after a first one, without taps: forward, decode and generate."""
    model, inputs = prepared(case, given, device)
    transformer = torch.compile(model.transformer) if compiled else model.transformer
    runs: dict[str, Callable[[], Any]] = {
        "forward": lambda: transformer(
            inputs.get("tokens"), modality=modality_context(case, model, inputs, {}), doc_ids=inputs.get("doc_ids")
        ),
        "decode": lambda: decode(case, model, inputs["tokens"]),
        "generate": lambda: generate(
            model.transformer, inputs["tokens"], case["generate"]["max_new_tokens"], temperature=0
        ),
    }
    if case["run"] not in runs or (compiled and case["run"] != "forward"):
        raise NotRecorded(f"run = {case['run']} is not timed{' compiled' if compiled else ''}")
    seconds = []
    with torch.no_grad(), given_noise(model.transformer, inputs, model.dtype):
        for _ in range(repeat + 1):
            start = time.perf_counter()
            runs[case["run"]]()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return seconds[1:]


def run_case(case: dict[str, Any], given: Trace, device: torch.device) -> Trace:
    """The trace of a case. Raises NotRecorded, or what KempnerForge raises where it refuses the case."""
    model, inputs = prepared(case, given, device)
    run = case["run"]
    if run == "gradients":
        for name in ("prefix_embeds", "image_features"):
            if name in inputs:
                inputs[name].requires_grad_()
        taps = forward(case, model, inputs)
        add_loss(case, model, inputs["labels"], taps)
        return taps | gradients(model, inputs, taps)
    with torch.no_grad():
        if run == "decode":
            return decode(case, model, inputs["tokens"])
        if run == "generate":
            options = case["generate"]
            eos = options.get("eos_token_id")
            count = options["max_new_tokens"]
            return {"tokens": generate(model.transformer, inputs["tokens"], count, temperature=0, eos_token_id=eos)}
        taps = forward(case, model, inputs)
        if run == "loss":
            add_loss(case, model, inputs["labels"], taps)
        if case.get("stages"):
            taps["logits.staged"] = staged_logits(case, model, inputs["tokens"])
        if "greedy_from" in case:
            length, count = case["greedy_from"]
            prompt = inputs["tokens"][:, :length]
            taps[f"greedy_from_{length}"] = generate(model.transformer, prompt, count, temperature=0)
        return taps
