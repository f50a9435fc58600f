"""Hooks that record what the modules of a model return, under the names of forgecheck's taps."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from forgecheck.description import Shapes
from forgecheck.errors import ForgecheckError
from forgecheck.family import Family
from forgecheck.names import is_wrapped, plain_name
from forgecheck.tensors import fitted, whole

# A projection at the end of a block: what it reads is a tap, and what it returns is the output of the block.
_LAST = [(re.compile(r"\.o_proj(?=\.|$)"), ".context"), (re.compile(r"\.down_proj$"), ".hidden")]


def input_tap(target: str) -> str | None:
    """The tap that a module reads: the heads side by side before o_proj, the hidden values before down_proj."""
    return next((pattern.sub(tap, target) for pattern, tap in _LAST if pattern.search(target)), None)


def block_tap(target: str, claimed: set[str]) -> str:
    """The tap of a block whose last module this is, where no module is the block itself. Otherwise the module's own."""
    if target == "token_embedding.embedding" and "token_embedding" not in claimed:
        return "token_embedding"
    for pattern, _ in _LAST:
        if (match := pattern.search(target)) and target[: match.start()] not in claimed:
            return pattern.sub("", target)
    return target


class Recorder:
    """While it is entered, every call of the model's modules is kept in `taps`."""

    def __init__(self, family: Family, shapes: Shapes, dtype: torch.dtype) -> None:
        self.taps: dict[str, Tensor] = {}
        self._family = family
        self._shapes = shapes
        self.modules: dict[str, str] = {}  # where each tap was taken, as the model's owner writes it
        self._dtype = dtype
        self.parts: list[str] = []  # taps of which a rank has a part only, so that they are not kept
        self._sharded = any(isinstance(tensor, DTensor) for _, _, tensor in family.tensors())
        self._handles = ExitStack()
        self._targets = self._hookable()

    def _hookable(self) -> dict[str, tuple[nn.Module, str]]:
        """Modules by their own name, with the name that they have in forgecheck. Inside a compiled module hooks are
        not called, so none is set there."""
        found: dict[str, tuple[nn.Module, str]] = {}
        compiled: list[str] = [""] if is_compiled(self._family.entry) else []
        for own, module in self._family.module.named_modules():
            if not own or is_wrapped(own) or any(name == "" or own.startswith(f"{name}.") for name in compiled):
                continue
            if is_compiled(module):
                compiled.append(own)
                if getattr(module, "_compiled_call_impl", None) is not None:
                    continue  # its own hooks would be compiled too
            target = self._family.names.find(own)
            if target is not None:
                found[own] = (module, target)
        return found

    def __enter__(self) -> Recorder:
        claimed = {target for _, target in self._targets.values()}
        for own, (module, target) in self._targets.items():
            read = input_tap(target)
            if read in self._shapes:
                self._handles.callback(module.register_forward_pre_hook(self._input_hook(own, read)).remove)
            hook = self._output_hook(own, block_tap(target, claimed))
            self._handles.callback(module.register_forward_hook(hook).remove)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._handles.close()

    def _input_hook(self, own: str, tap: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor):
                self.add(tap, inputs[0], f"the input of {plain_name(own)}")

        return hook

    def _output_hook(self, own: str, target: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor):
                name = f"{target}.gate" if target.endswith(".router") else target
                parts = self._family.names.output(name, output)
            elif isinstance(output, (dict, tuple)) and output:
                parts = self._family.parts(target, output)
            else:
                return
            for tap, value in parts.items():
                if tap in self._shapes and isinstance(value, Tensor):
                    self._check_dtype(own, module, tap, value)
                    self.add(tap, value, plain_name(own))

        return hook

    def _check_dtype(self, own: str, module: nn.Module, tap: str, value: Tensor) -> None:
        """A module that computes in another type than its weights have is under autocast inside the model."""
        if next(module.parameters(recurse=False), None) is None or ".router" in tap or not value.is_floating_point():
            return
        if value.dtype != self._dtype:
            raise ForgecheckError(
                f"module {own}: returned {value.dtype}, its weights are {self._dtype}: a case has one type"
            )

    def add(self, tap: str, value: Tensor, module: str) -> None:
        """Keeps a copy: the model may change the tensor in place later."""
        if tap in self.taps:
            raise ForgecheckError(f"{tap}: was computed twice in one run; a trace holds one")
        fit = fitted(value.detach(), self._shapes[tap], self._family.heads_first)
        if fit is None:
            return
        if self._sharded and tuple(fit.shape) != self._shapes[tap]:
            self.parts.append(tap)
        else:
            self.taps[tap], self.modules[tap] = whole(fit), module


def is_compiled(module: nn.Module) -> bool:
    """Whether calling the module runs a compiled graph."""
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
