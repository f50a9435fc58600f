"""Tensors of any device and layout as plain ones on the CPU, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(tensor: Tensor) -> Tensor:
    """A copy of the whole tensor on the CPU that shares memory with none. A DTensor is gathered, which every rank of
    its mesh must take part in."""
    tensor = tensor.detach()
    if isinstance(tensor, DTensor):
        tensor = tensor.full_tensor()
    return tensor.to("cpu", copy=True).contiguous()


def assign(tensor: Tensor, values: Tensor) -> None:
    """Gives a parameter or buffer, whole or a DTensor, these values, rounded to its type."""
    with torch.no_grad():
        values = values.to(device=tensor.device, dtype=tensor.dtype)
        if isinstance(tensor, DTensor):
            values = distribute_tensor(values, tensor.device_mesh, tensor.placements)
        tensor.copy_(values)


def fitted(value: Tensor, shape: tuple[int, ...], heads_first: bool) -> Tensor | None:
    """A module's output in the shape of its tap, where the two differ only in which axes are joined, or, for heads, in
    the order of positions and heads. Otherwise as it is: the judge names the two shapes. None where both orders
    have this shape, so that nobody knows which it is (not for a module that is known to have positions first)."""
    found = tuple(value.shape)
    if len(found) == 4 and len(shape) == 4 and heads_first and found[1] == found[2]:
        return None
    if found == shape or value.numel() != _product(shape):
        return value
    if found[:2] == shape[:2] or (len(shape) == 2 and found[-1:] == shape[-1:]):
        return value.reshape(shape)
    if len(found) == 4 and (found[0], found[2], found[1], found[3]) == shape:
        return value.transpose(1, 2)
    return value


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
