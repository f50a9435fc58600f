"""Which of a model's modules and parameters is which of forgecheck's: rules from the one's names to the other's.

A rule `"blocks.*.wq": "layers.*.attention.q_proj"` holds for a module and all that is in it; `*` is one part of a
dotted name, and stands for the same part in the target. The target None leaves a module out. In a target

    layers.*.attention.{q_proj,k_proj,v_proj}   several modules in one, outputs side by side in this order
    layers.*.attention.{q_proj|k_proj|v_proj}   the same for each key-value head: its queries, its key, its value
    layers.*.mlp.experts.#.up_proj.weight       a parameter with one more axis in front: # is the index"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from forgecheck.errors import ForgecheckError

if TYPE_CHECKING:
    from torch import Tensor

_BRACES = re.compile(r"\{([^{}]*)\}")
NameRules = Mapping[str, Union[str, None]]
# Wrappers that put a part into the names of what they wrap: torch.compile, activation checkpointing.
_WRAPPERS = re.compile(r"(^|\.)(_orig_mod|_checkpoint_wrapped_module)(?=\.|$)")
# Parameters that KempnerForge keeps one module deeper than its taps.
_DEEPER = {
    "token_embedding.weight": "token_embedding.embedding.weight",
    "output_head.weight": "output_head.proj.weight",
}


def is_wrapped(name: str) -> bool:
    """Whether the module of this name is what a wrapper wraps: the wrapper itself has the name that counts."""
    return name.rsplit(".", 1)[-1] in ("_orig_mod", "_checkpoint_wrapped_module")


def plain_name(name: str) -> str:
    """A module's name without the parts that wrappers put into it."""
    return _WRAPPERS.sub("", name).removeprefix(".")


@dataclass(frozen=True)
class Heads:
    """The heads of the attention, by which fused projections are split."""

    n_heads: int
    n_kv_heads: int
    head_dim: int

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> Heads:
        """Those of a case's section [model]."""
        n_heads = model.get("n_heads", 32)
        head_dim = model.get("head_dim") or model.get("dim", 4096) // n_heads
        return cls(n_heads, model.get("n_kv_heads") or n_heads, head_dim)

    def of_projection(self, name: str) -> int:
        """How many heads q_proj, k_proj or v_proj has."""
        return self.n_heads if name == "q_proj" else self.n_kv_heads


class Piece(NamedTuple):
    """A part of a tensor: a view of its memory, and the shape that it has by itself."""

    name: str
    view: Tensor
    shape: tuple[int, ...]

    @property
    def value(self) -> Tensor:
        """The part in its own shape."""
        return self.view.reshape(self.shape)


class Names:
    """The rules of one model. What no rule is for keeps its name. `heads` is asked only where a fused projection is to
    be split by them."""

    def __init__(self, rules: NameRules, heads: Callable[[], Heads | None] = lambda: None) -> None:
        for pattern, target in rules.items():
            if not isinstance(pattern, str) or not (target is None or isinstance(target, str)):
                raise ForgecheckError(f"names[{pattern!r}] = {target!r}: names are text, or None for what is left out")
            if target is not None and target.count("*") > pattern.count("*"):
                raise ForgecheckError(f'names["{pattern}"] = "{target}": has more * than the name it is for')
        self.rules = dict(rules)
        self._heads = heads
        # Those with fewer stars first: a rule for one layer goes before that for all.
        self._compiled = [
            (re.compile(re.escape(pattern).replace(r"\*", r"([^.]+)")), rules[pattern])
            for pattern in sorted(rules, key=lambda pattern: pattern.count("*"))
        ]

    def find(self, name: str) -> str | None:
        """The name that a module or parameter has in forgecheck: by the rule for the longest part of its own. May hold
        braces and #. None where a rule leaves it out."""
        name = plain_name(name)
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            prefix, rest = ".".join(parts[:length]), parts[length:]
            for pattern, target in self._compiled:
                if match := pattern.fullmatch(prefix):
                    return None if target is None else _deeper(_joined(_filled(target, match.groups()), rest))
        return _deeper(name)

    def parameter(self, target: str, tensor: Tensor) -> Iterator[Piece]:
        """The parameters that one tensor holds. Linear weights are (out, in): fused ones are split along axis 0."""
        if "#" in target:
            for index, part in enumerate(tensor.unbind(0)):
                yield from self.parameter(target.replace("#", str(index), 1), part)
        else:
            yield from self._split(target, tensor)

    def output(self, target: str, value: Tensor) -> dict[str, Tensor]:
        """The outputs that one module's output holds, side by side in its last axis."""
        if not _BRACES.search(target):
            return {target: value}
        pieces = self._split(target, value.movedim(-1, 0))
        return {piece.name: piece.value.movedim(0, -1) for piece in pieces}

    def _split(self, target: str, tensor: Tensor) -> Iterator[Piece]:
        """The named parts of axis 0."""
        braces = _BRACES.search(target)
        if braces is None:
            yield Piece(target, tensor, tuple(tensor.shape))
            return
        by_head = "|" in braces[1]
        parts = braces[1].split("|" if by_head else ",")
        names = [target.replace(braces[0], part, 1) for part in parts]
        widths = self._widths(target, parts, tensor.shape[0])
        heads = self._heads() if by_head else None
        groups = heads.n_kv_heads if heads else 1
        # Axis 0 as (groups, what each name has of a group).
        grouped = tensor.reshape(groups, -1, *tensor.shape[1:])
        begin = 0
        for name, width in zip(names, widths, strict=True):
            part = grouped[:, begin : begin + width // groups]
            begin += width // groups
            yield Piece(name, part, (width, *tensor.shape[1:]))

    def _widths(self, target: str, parts: list[str], total: int) -> list[int]:
        """How much of the axis belongs to each part: its heads, or the same for each where they have no heads."""
        if not all(part in ("q_proj", "k_proj", "v_proj") for part in parts):
            widths = [total // len(parts)] * len(parts)
        elif (heads := self._heads()) is None:
            raise ForgecheckError(f"{target}: a fused projection is split by the heads of the case: give case=")
        else:
            widths = [heads.of_projection(part) * heads.head_dim for part in parts]
        if sum(widths) != total:
            raise ForgecheckError(f"{target}: the parts are {' + '.join(map(str, widths))} wide, the whole is {total}")
        return widths


def _filled(target: str, parts: tuple[str, ...]) -> str:
    """The target with every `*` replaced by what it stands for."""
    for part in parts:
        target = target.replace("*", part, 1)
    return target


def _joined(target: str, rest: list[str]) -> str:
    return ".".join(part for part in [target, *rest] if part)


def _deeper(name: str) -> str:
    return _DEEPER.get(name, name)
