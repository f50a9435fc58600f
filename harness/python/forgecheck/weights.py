"""The weights of a model under forgecheck's names: filled with seeded values, recognised as such, or taken out."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from forgecheck.errors import ForgecheckError
from forgecheck.family import Family
from forgecheck.names import Piece
from forgecheck.parameters import kind_of
from forgecheck.seeding import seeded_parameter
from forgecheck.tensors import assign, whole

_HEAD = "output_head.proj.weight"
_EMBEDDING = "token_embedding.embedding.weight"
# With which seed a model was filled, so that its owner need not say it again.
_seeds: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def pieces_of(family: Family, own: str, target: str, tensor: Tensor) -> Iterator[Piece]:
    """The named parameters that one tensor of the model holds. Raises ForgecheckError where one cannot be named."""
    for piece in family.names.parameter(target, tensor):
        try:
            kind_of(piece.name, piece.shape)
        except ForgecheckError as error:
            where = "" if own == piece.name else f"{own} of the model: "
            raise ForgecheckError(f"{where}{error}; names= gives names, None where a part is left out") from None
        yield piece


def fill(family: Family, seed: int) -> None:
    """Gives every parameter its seeded values. One that has several names, as a tied head has, takes the first's."""
    seen: set[int] = set()
    planned = []
    for own, target, tensor in family.tensors():
        if tensor.is_meta:
            raise ForgecheckError(f"parameter {own}: is on the meta device and has no values")
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        list(pieces_of(family, own, target, torch.empty(tensor.shape, device="meta")))
        planned.append((target, tensor))
    for target, tensor in planned:  # all names are known: now values are changed
        values = torch.empty(tensor.shape, dtype=torch.float32)
        for piece in family.names.parameter(target, values):
            seeded = torch.from_numpy(seeded_parameter(piece.name, piece.shape, seed))
            piece.view.copy_(seeded.reshape(piece.view.shape))
        assign(tensor, values)
    _seeds[family.module] = seed


def take_weights(family: Family) -> dict[str, Tensor]:
    """Every weight by name, as a copy on the CPU. Without the head where the case ties it to the embedding."""
    weights: dict[str, Tensor] = {}
    for own, target, tensor in family.tensors():
        for piece in pieces_of(family, own, target, whole(tensor)):
            if piece.name in weights:
                raise ForgecheckError(f"parameter {own}: is the second that is named {piece.name}")
            weights[piece.name] = piece.value.contiguous().clone()
    if family.case["model"].get("tie_embeddings") and _HEAD in weights:
        if not torch.equal(weights.pop(_HEAD), weights[_EMBEDDING]):
            raise ForgecheckError("tie_embeddings = true, but the head has other weights than the embedding")
    return weights


def seed_of(family: Family, weights: dict[str, Tensor]) -> int | None:
    """The seed that the weights were made with by fill; None where they are others now."""
    seed = _seeds.get(family.module)
    if seed is None:
        return None
    for name, value in weights.items():
        seeded = torch.from_numpy(seeded_parameter(name, tuple(value.shape), seed)).to(value.dtype)
        if not torch.equal(seeded, value):
            return None
    return seed
