"""seed: fills a model's parameters with the seeded tensors."""

from __future__ import annotations

from torch import nn

from forgecheck.errors import ForgecheckError
from forgecheck.models import CaseLike, family_of
from forgecheck.names import NameRules
from forgecheck.weights import fill


def seed(model: nn.Module, seed: int, *, case: CaseLike | None = None, names: NameRules | None = None) -> nn.Module:
    """Gives every parameter of the model the values that its name and the seed determine, so that a trace need not
    carry weights. Raises ForgecheckError, before anything is changed, where a parameter has no name that forgecheck
    knows. `case` is needed only to split a fused projection of queries, keys and values of a model that is not known by
    itself. Returns the model."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise ForgecheckError(f"seed = {seed!r}: must be an integer in 0 .. 2^64 - 1")
    fill(family_of(model, case, names), seed)
    return model
