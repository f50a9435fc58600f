"""record: runs a model once and writes what it computed as a trace file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forgecheck.description import tap_shapes
from forgecheck.errors import ForgecheckError
from forgecheck.family import Family
from forgecheck.hooks import Recorder, is_compiled
from forgecheck.inputs import read_inputs
from forgecheck.models import Call, CaseLike, family_of
from forgecheck.names import NameRules
from forgecheck.support import DTYPES, check_supported
from forgecheck.tensors import whole
from forgecheck.trace_file import SEEDED, checked_path, weights_path, write_tensors, write_trace
from forgecheck.weights import pieces_of, seed_of, take_weights

COMPILED = "torch.compile: hooks are not called inside compiled modules, so what is in them was not recorded"


@dataclass(frozen=True)
class Recording:
    """A run: its case, inputs, taps and weights."""

    case: dict[str, Any]
    inputs: dict[str, Tensor]
    taps: dict[str, Tensor]
    weights: dict[str, Tensor]  # empty where they are the seeded ones
    producer: dict[str, str]
    notes: list[str] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)  # which module each tap is from

    def write(self, path: Path) -> None:
        """Writes the trace, and beside it the weights where they are not the seeded ones."""
        beside = weights_path(path)
        if self.weights:
            write_tensors(beside, self.weights, {"format": "pt"})
        name = beside.name if self.weights else SEEDED
        write_trace(path, {"case": self.case}, self.inputs, self.taps, name, self.producer)
        if not self.weights:
            beside.unlink(missing_ok=True)  # of an earlier recording


def record(
    model: nn.Module,
    inputs: Any,
    path: str | os.PathLike[str],
    *,
    case: CaseLike | None = None,
    names: NameRules | None = None,
    call: Call | None = None,
    chunks: Sequence[int] | None = None,
    gradients: bool = False,
) -> Path:
    """Runs the model on the inputs (tokens, or a mapping from names to tensors) and writes the trace to `path`, which
    ends in .safetensors. With labels it records the loss too, with `chunks` ([6, 1, 1]) decoding with a KV cache, and
    with `gradients` those of the loss. `case`, `names` and `call` are for models that are not known by themselves:
    what the model computes, what its parts are called, and how it is called on a mapping of inputs."""
    target = checked_path(path)
    run(model, inputs, case=case, names=names, call=call, chunks=chunks, gradients=gradients).write(target)
    return target


def run(
    model: nn.Module,
    inputs: Any,
    *,
    case: CaseLike | None = None,
    names: NameRules | None = None,
    call: Call | None = None,
    chunks: Sequence[int] | None = None,
    gradients: bool = False,
) -> Recording:
    """Runs the model once, with hooks."""
    family = family_of(model, case, names, call)
    architecture = family.case
    dtype = check_supported(family)
    device = next(tensor.device for _, _, tensor in family.tensors())
    given = read_inputs(inputs, device, dtype)
    weights = take_weights(family)
    seed = seed_of(family, weights)
    definition = {
        **family.complete(architecture, given),
        "seed": seed or 0,
        "mode": "train" if family.module.training else "eval",
        "dtype": DTYPES[dtype],
        **_run_fields(family, given, chunks, gradients),
    }
    stored = {name: whole(value) for name, value in given.items()}
    if "labels" in stored:
        stored["labels"] = family.labels(stored["labels"])
    modules: dict[str, str] = {}
    notes = [COMPILED] if any(is_compiled(part) for part in [family.entry, *family.module.modules()]) else []
    if definition["run"] == "decode":
        taps = _decode(family, given, definition["chunks"])
    else:
        recorder = _forward(family, given, stored, definition, dtype)
        taps, modules = recorder.taps, recorder.modules
        if recorder.parts:
            notes.append(f"tensor parallelism: this rank has only a part of {', '.join(recorder.parts)}: not recorded")
    producer = {"backend": family.backend, "version": family.version, "torch": torch.__version__.split("+")[0],
                "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type}  # fmt: skip
    kept = {} if seed is not None else weights
    return Recording(definition, stored, taps, kept, producer, notes, modules)


def _run_fields(
    family: Family, inputs: dict[str, Tensor], chunks: Sequence[int] | None, gradients: bool
) -> dict[str, Any]:
    """What is run, as the case says it."""
    if chunks is not None:
        if family.module.training:
            raise ForgecheckError("chunks: decoding runs in eval mode: call model.eval()")
        if inputs.keys() != {"tokens"} or gradients:
            raise ForgecheckError("chunks: decoding takes tokens alone")
        length = inputs["tokens"].shape[-1]
        if sum(chunks) != length or min(chunks, default=0) < 1:
            raise ForgecheckError(
                f"chunks = {list(chunks)}: must be positive and add up to the {length} tokens of a row"
            )
        return {"run": "decode", "chunks": list(chunks)}
    if gradients and "labels" not in inputs:
        raise ForgecheckError("gradients: are those of the loss, which needs labels")
    return {"run": "gradients" if gradients else "loss" if "labels" in inputs else "forward"}


def _decode(family: Family, given: dict[str, Tensor], chunks: list[int]) -> dict[str, Tensor]:
    with torch.no_grad():
        return {tap: whole(value) for tap, value in family.decode(given, chunks).items()}


def _forward(
    family: Family, given: dict[str, Tensor], stored: dict[str, Tensor], definition: dict[str, Any], dtype: torch.dtype
) -> Recorder:
    """The taps of a forward call, and of what follows it."""
    gradients = definition["run"] == "gradients"
    shapes = tap_shapes({**definition, "run": "loss"} if gradients else definition, stored)
    with Recorder(family, shapes, dtype) as recorder, nullcontext() if gradients else torch.no_grad():
        output = family.forward(given)
        late = {"logits": output.logits, **family.after()}
        losses = family.losses(output, stored["labels"].to(output.logits.device)) if "labels" in stored else {}
    for tap, value in {**late, **losses}.items():
        if tap in shapes:
            recorder.taps[tap] = whole(value)
    if gradients:
        recorder.taps.update(_gradients(family, losses))
    return recorder


def _gradients(family: Family, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of the loss in every parameter that took part."""
    tensors = list(family.tensors())
    for _, _, tensor in tensors:
        tensor.grad = None
    torch.autograd.backward(losses.get("loss.total", losses["loss.cross_entropy"]))
    found = {
        f"grad.{piece.name}": piece.value.contiguous().clone()
        for own, target, tensor in tensors
        if tensor.grad is not None
        for piece in pieces_of(family, own, target, whole(tensor.grad))
    }
    for _, _, tensor in tensors:
        tensor.grad = None
    return found
