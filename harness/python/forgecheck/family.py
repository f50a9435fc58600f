"""A model as forgecheck sees it: its case, the names of its parts, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from forgecheck.errors import ForgecheckError
from forgecheck.names import Heads, NameRules, Names
from forgecheck.parameters import find_kind

Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Output:
    """What a forward call returned."""

    logits: Tensor
    loss: Tensor | None = None


class Family:
    """Any module, by a case and names that its owner gives. Known kinds of model are derived from it."""

    backend = "torch"
    # Whether per-head tensors may have heads before positions, as nobody knows of any module.
    heads_first = True

    def __init__(self, module: nn.Module, entry: nn.Module, case: dict[str, Any] | None, rules: NameRules) -> None:
        self.module = module  # the names are those of its parts
        self.entry = entry  # what is called: the module, or torch.compile's wrapper of it
        self.names = Names(rules, self.heads)
        self._case = case
        self.call: Callable[[nn.Module, Inputs], Any] | None = None

    @property
    def case(self) -> dict[str, Any]:
        """The sections of the case that describe the model."""
        if self._case is None:
            self._case = self.read_case()
        return self._case

    def read_case(self) -> dict[str, Any]:
        """The case, read from the model."""
        raise ForgecheckError(
            f"{type(self.module).__name__} is none of the models that forgecheck knows (KempnerForge's Transformer, "
            "transformers' Llama, Mistral, Mixtral, Qwen2, Qwen3 with a language-model head): say what it computes, as in "
            'case="dense[dim=64,n_layers=2,n_heads=4,vocab_size=61]"'
        )

    def heads(self) -> Heads | None:
        """The heads by which fused projections are split; None where the case is not known."""
        return None if self._case is None else Heads.of(self._case["model"])

    @property
    def version(self) -> str:
        """The version of the library that the model is from."""
        return torch.__version__.split("+")[0]

    def complete(self, case: dict[str, Any], inputs: Inputs) -> dict[str, Any]:
        """The case with these inputs. Raises ForgecheckError where such a run cannot be recorded."""
        return case

    def tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """Every parameter, and every buffer that is part of the case, by its own name and by its name in forgecheck,
        which may hold braces and #."""
        for own, parameter in self.module.named_parameters(remove_duplicate=False):
            target = self.names.find(own)
            if target is not None:
                yield own, target, parameter
        for own, tensor in self.module.named_buffers():
            target = self.names.find(own)
            if target is not None and find_kind(target) is not None:
                yield own, target, tensor

    def forward(self, inputs: Inputs) -> Output:
        """Runs the model on the inputs."""
        if self.call is not None:
            return read_output(self.call(self.entry, inputs))
        if inputs.keys() - {"tokens", "labels"}:
            others = ", ".join(sorted(inputs.keys() - {"tokens", "labels"}))
            raise ForgecheckError(
                f"inputs: how the model takes {others} is not known: give call=lambda model, inputs: ..."
            )
        arguments = [inputs[name] for name in ("tokens", "labels") if name in inputs]
        return read_output(self.entry(*arguments))

    def decode(self, inputs: Inputs, chunks: list[int]) -> dict[str, Tensor]:
        """Runs the tokens chunk by chunk through a KV cache: logits and the filled caches."""
        raise ForgecheckError(
            "chunks: how this model takes a KV cache is not known; it is for KempnerForge's and transformers' models"
        )

    def parts(self, target: str, output: Any) -> dict[str, Tensor]:
        """The tensors in a module's output that is not one tensor, by tap."""
        if isinstance(output, dict):
            return {f"{target}.{key}": value for key, value in output.items()}
        if target.endswith(".router") and len(output) == 2:
            return {f"{target}.weights": output[0], f"{target}.indices": output[1]}
        return {target: output[0]}

    def losses(self, output: Output, labels: Tensor) -> dict[str, Tensor]:
        """The taps of a loss."""
        if output.loss is None:
            raise ForgecheckError("labels: the model returned no loss (the second of a tuple, or .loss)")
        return {"loss.cross_entropy": output.loss}

    def labels(self, labels: Tensor) -> Tensor:
        """Labels position by position: the label of a position is the token to be predicted there."""
        return labels

    def after(self) -> dict[str, Tensor]:
        """Losses of routers, counts and state after a run."""
        return {}


def read_output(output: Any) -> Output:
    """Logits and loss of whatever a model returned: a tensor, a tuple of logits and loss, or an object with them."""
    if isinstance(output, Tensor):
        return Output(output)
    logits: Any
    loss: Any
    if isinstance(output, Mapping):
        logits, loss = output.get("logits"), output.get("loss")
    elif hasattr(output, "logits"):
        logits, loss = output.logits, getattr(output, "loss", None)
    elif isinstance(output, tuple) and output:
        logits, loss = output[0], output[1] if len(output) > 1 else None
    else:
        logits, loss = None, None
    if not isinstance(logits, Tensor):
        found = type(output).__name__
        raise ForgecheckError(f"the model returned {found}: logits are needed, alone, first of a tuple, or as .logits")
    return Output(logits, loss if isinstance(loss, Tensor) and loss.dim() == 0 else None)
