"""The one-line text of a case's architecture, `dense[dim=64,n_layers=2]`, as the object that trace files hold. The
program checks fields and values; here only the text is taken apart."""

from __future__ import annotations

import re
from typing import Any

from forgecheck.errors import ForgecheckError

ARCHITECTURES = ("dense", "moe", "joint_decoder", "cross_attention", "mot", "moma")
_VLM_FIELDS = re.compile(r"max_text_len|(cross_attention|mot|moma)_\w+")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^,=\[\]{}"]+|[,=\[\]{}]')


def parse_architecture(text: str) -> dict[str, Any]:
    """The sections model, vlm and adapter, and num_image_tokens, of `arch[field=value,...]`."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", text, re.DOTALL)
    if match is None or match[1] not in ARCHITECTURES:
        raise ForgecheckError(
            f'case "{text}": must be arch[field=value,...] with one of {", ".join(ARCHITECTURES)}; sizes, type and run '
            "come from the model and its inputs"
        )
    case: dict[str, Any] = {"model": {}}
    if match[1] not in ("dense", "moe"):
        case["vlm"] = {"arch": match[1]}
    for name, value in _Reader(text, match[2] or "").fields().items():
        section, field = _place(name, "vlm" in case)
        (case.setdefault(section, {}) if section else case)[field] = value
    return case


def _place(name: str, has_vlm: bool) -> tuple[str, str]:
    """The section of a field, and its name there."""
    if name == "num_image_tokens":
        return "", name
    if name == "feature_dim":
        return "adapter", name
    if name.startswith("adapter."):
        return "adapter", name.removeprefix("adapter.")
    return ("vlm" if has_vlm and _VLM_FIELDS.fullmatch(name) else "model"), name


class _Reader:
    """Reads `field=value,...` from left to right. Values are numbers, true, false, words, quoted text, [a,b] and
    {a=1,b=2}."""

    def __init__(self, whole: str, text: str) -> None:
        self.whole = whole
        self.tokens: list[str] = [token for token in _TOKEN.findall(text) if token.strip()]

    def fields(self) -> dict[str, Any]:
        return self._entries(None)

    def _entries(self, end: str | None) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while self.tokens and self.tokens[0] != end:
            name = _unquoted(self._next("a field"))
            self._expect("=")
            if name in entries:
                self._fail(f"{name} is given twice")
            entries[name] = self._value()
            if self.tokens and self.tokens[0] != end:
                self._expect(",")
        return entries

    def _value(self) -> Any:
        token = self._next("a value")
        if token == "[":
            items: list[Any] = []
            while self.tokens and self.tokens[0] != "]":
                items.append(_scalar(self._next("a value")))
                if self.tokens and self.tokens[0] == ",":
                    self._next(",")
            self._expect("]")
            return items
        if token == "{":
            entries = self._entries("}")
            self._expect("}")
            return entries
        if token in ",=]}":
            self._fail(f'expected a value before "{token}"')
        return _scalar(token)

    def _next(self, what: str) -> str:
        if not self.tokens:
            self._fail(f"ends where {what} is expected")
        return self.tokens.pop(0).strip()

    def _expect(self, token: str) -> None:
        found = self._next(f'"{token}"')
        if found != token:
            self._fail(f'expected "{token}" before "{found}"')

    def _fail(self, why: str) -> None:
        raise ForgecheckError(f'case "{self.whole}": {why}')


def _unquoted(token: str) -> str:
    if not token.startswith('"'):
        return token
    return re.sub(r"\\(.)", _unescaped, token[1:-1])


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else str(escape[1])


def _scalar(token: str) -> Any:
    if token in ("true", "false"):
        return token == "true"
    for number in (int, float):
        try:
            return number(token)
        except ValueError:
            continue
    return _unquoted(token)
