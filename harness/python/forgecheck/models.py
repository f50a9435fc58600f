"""Which kind of model a module is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Union

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from forgecheck.case_text import parse_architecture
from forgecheck.description import architecture_of_file
from forgecheck.errors import ForgecheckError
from forgecheck.family import Family, Inputs
from forgecheck.hugging_face import HuggingFace, is_hugging_face
from forgecheck.kempnerforge import KempnerForge, is_kempnerforge
from forgecheck.names import NameRules, plain_name

CaseLike = Union[str, "os.PathLike[str]", Mapping[str, Any]]
Call = Callable[[nn.Module, Inputs], Any]


def family_of(
    model: nn.Module, case: CaseLike | None = None, names: NameRules | None = None, call: Call | None = None
) -> Family:
    """The model under its wrappers, with its case and names: those given, else those of a known kind."""
    if not isinstance(model, nn.Module):
        raise ForgecheckError(f"model: is {type(model).__name__}, not a torch.nn.Module")
    entry = model.module if isinstance(model, DistributedDataParallel) else model
    module = entry._orig_mod if hasattr(entry, "_orig_mod") else entry
    assert isinstance(module, nn.Module) and isinstance(entry, nn.Module)
    inner = getattr(module, "transformer", None)
    if case is None and isinstance(inner, nn.Module) and is_kempnerforge(inner):
        raise ForgecheckError(
            f"{type(module).__name__}: give its .transformer, with what the adapter makes of the images as "
            "prefix_embeds or image_features"
        )
    rules = names or {}
    check_rules(module, rules)
    given = None if case is None else read_case(case)
    family: Family
    if given is None and is_kempnerforge(module):
        family = KempnerForge(module, entry, rules)
    elif given is None and is_hugging_face(module):
        family = HuggingFace(module, entry, rules)
    else:
        family = Family(module, entry, given, rules)
    family.call = call
    return family


def read_case(case: CaseLike) -> dict[str, Any]:
    """A case as its sections: of its text, of a configuration file, or as it is."""
    if isinstance(case, Mapping):
        if "model" not in case:
            raise ForgecheckError(f'case = {dict(case)}: needs a section "model"')
        return dict(case)
    if isinstance(case, str) and not case.endswith((".toml", ".json")):
        return parse_architecture(case)
    return architecture_of_file(Path(case))


def check_rules(module: nn.Module, names: NameRules) -> None:
    """Raises ForgecheckError for a rule that is for nothing in the model: a mistyped one would go unnoticed."""
    own = {plain_name(name) for name, _ in module.named_modules()}
    own |= {plain_name(name) for name, _ in module.named_parameters(remove_duplicate=False)}
    for pattern in names:
        compiled = re.compile(re.escape(str(pattern)).replace(r"\*", r"[^.]+"))
        if not any(compiled.fullmatch(name) for name in own):
            raise ForgecheckError(f'names["{pattern}"]: the model has no module or parameter of this name')
