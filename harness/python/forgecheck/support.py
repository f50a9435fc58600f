"""What is refused before a run, since no case describes it: each with its reason."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from forgecheck.errors import ForgecheckError
from forgecheck.family import Family

DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def check_supported(family: Family) -> torch.dtype:
    """The type in which the model computes. Raises ForgecheckError for what cannot be recorded."""
    module = family.module
    for name, part in module.named_modules():
        shown = name or "(the model)"
        if isinstance(part, FullyShardedDataParallel):
            raise ForgecheckError(
                f"module {shown}: FullyShardedDataParallel flattens parameters, so they have no names; use fully_shard "
                "(FSDP2), or give the model before it is wrapped"
            )
        policy = getattr(getattr(part, "_get_fsdp_state", lambda: None)(), "_mp_policy", None)
        computed = getattr(policy, "param_dtype", None)
        if computed is not None:
            raise ForgecheckError(
                f"module {shown}: fully_shard's mixed precision computes in {computed} with other weights; convert the "
                "model instead, with model.to(...)"
            )
        if module.training and isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0:
            raise ForgecheckError(
                f"module {name}: drops values at random (p = {part.p}) in training mode: call model.eval()"
            )
    dropout = getattr(getattr(module, "config", None), "attention_dropout", 0.0)
    if module.training and dropout:
        raise ForgecheckError(
            f"attention_dropout = {dropout}: drops values at random in training mode: call model.eval()"
        )
    return _dtype(family)


def _dtype(family: Family) -> torch.dtype:
    """The one type of all parameters."""
    found: dict[torch.dtype, str] = {}
    device = "cpu"
    for own, _, tensor in family.tensors():
        if tensor.is_meta:
            raise ForgecheckError(f"parameter {own}: is on the meta device and has no values")
        found.setdefault(tensor.dtype, own)
        device = tensor.device.type
    if len(found) > 1:
        types = " and ".join(f"{DTYPES.get(dtype, dtype)} ({name})" for dtype, name in found.items())
        raise ForgecheckError(f"parameters are of several types, {types}: a case has one")
    if not found:
        raise ForgecheckError("the model has no parameters")
    dtype, name = next(iter(found.items()))
    if dtype not in DTYPES:
        raise ForgecheckError(
            f"parameter {name}: is {dtype}: models are judged in {' and '.join(DTYPES.values())}, against "
            "an oracle in float64"
        )
    if torch.is_autocast_enabled(device):
        raise ForgecheckError(
            f"autocast is on ({torch.get_autocast_dtype(device)}): layers then compute in different types, which no "
            "case describes; leave it, and convert the model with model.to(torch.bfloat16) instead"
        )
    return dtype
