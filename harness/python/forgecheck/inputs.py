"""The inputs of a run, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from forgecheck.errors import ForgecheckError

INTEGERS = ("tokens", "modality_ids", "doc_ids", "labels")
MASKS = ("image_mask", "key_padding_mask", "frame_mask")
FLOATS = ("inputs_embeds", "prefix_embeds", "image_features", "vision_features")
_OTHER_NAMES = {"input_ids": "tokens"}  # transformers


def read_inputs(given: Any, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Tokens, or a mapping from names to tensors, on the model's device and floats in its type. Raises
    ForgecheckError naming the input where it is unknown or of another type."""
    if not isinstance(given, Mapping):
        given = {"tokens": given}
    inputs: dict[str, Tensor] = {}
    for own, value in given.items():
        if value is None:
            continue
        name = _OTHER_NAMES.get(own, own)
        tensor = torch.as_tensor(value)
        if name == "attention_mask":
            check_attention_mask(tensor)
            continue
        inputs[name] = typed(name, tensor, dtype).to(device)
    return inputs


def typed(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """An input in the type that it has in a trace."""
    if name in INTEGERS:
        if tensor.is_floating_point() or tensor.dtype == torch.bool:
            raise ForgecheckError(f"inputs: {name} is {tensor.dtype}: must be integers")
        return tensor.to(torch.int64)
    if name in MASKS:
        if tensor.dtype != torch.bool:
            raise ForgecheckError(
                f"inputs: {name} is {tensor.dtype}: must be bool, true where there is something to read"
            )
        return tensor
    if name not in FLOATS:
        known = ", ".join((*INTEGERS, *MASKS, *FLOATS))
        raise ForgecheckError(f"inputs: {name} is unknown; known are {known}")
    if not tensor.is_floating_point():
        raise ForgecheckError(f"inputs: {name} is {tensor.dtype}: must be floating point")
    return tensor.detach().to(dtype)


def check_attention_mask(mask: Tensor) -> None:
    """transformers' mask of text: all ones says nothing, and padding cannot be said of text."""
    hidden = (mask == 0).nonzero()
    if len(hidden):
        raise ForgecheckError(
            f"inputs: attention_mask is 0 at {hidden[0].tolist()}: text has no padding here; give rows of one length"
        )
