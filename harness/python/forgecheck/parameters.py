"""The names of parameters, which are those of KempnerForge's state_dict, and the kind of each."""

from __future__ import annotations

import difflib
import enum
import re

from forgecheck.errors import ForgecheckError


class Kind(enum.Enum):
    """What a parameter is for."""

    LINEAR = "linear"
    PACKED_LINEAR = "packed_linear"
    ROUTER_GATE = "router_gate"
    EMBEDDING = "embedding"
    NORM_WEIGHT = "norm_weight"
    BIAS = "bias"
    EXPERT_EMA = "expert_ema"


# How many axes each has.
_RANKS = {
    Kind.LINEAR: 2, Kind.PACKED_LINEAR: 3, Kind.ROUTER_GATE: 2, Kind.EMBEDDING: 2, Kind.NORM_WEIGHT: 1, Kind.BIAS: 1,
    Kind.EXPERT_EMA: 1,
}  # fmt: skip
_NORM = (
    r"norm|mot_norms\.[^.]+|layers\.\d+\.(attention_norm|mlp_norm|attn_norm\.[^.]+|mlp_norm\.[^.]+)"
    r"|cross_attention_layers\.\d+\.(attn_norm|mlp_norm)"
)
_ATTENTION = r"layers\.\d+\.attention|layers\.\d+\.attn|cross_attention_layers\.\d+\.attn"
_FEED_FORWARD = r"layers\.\d+\.mlp(\.[^.]+)?|cross_attention_layers\.\d+\.mlp"
_EXPERTS = rf"({_FEED_FORWARD})\.experts(\.[^.]+\.experts)?\.\d+"
_NAMES: list[tuple[re.Pattern[str], Kind]] = [
    (re.compile(pattern), kind)
    for pattern, kind in [
        (r"token_embedding\.embedding\.weight", Kind.EMBEDDING),
        (r"output_head\.proj\.weight", Kind.LINEAR),
        (rf"({_NORM})\.weight", Kind.NORM_WEIGHT),
        (rf"({_NORM})\.bias", Kind.BIAS),
        (rf"({_ATTENTION})\.[qkvo]_proj(\.[^.]+)?\.weight", Kind.LINEAR),
        (rf"({_ATTENTION})\.[qkv]_proj\.bias", Kind.BIAS),
        (rf"({_ATTENTION})\.[qk]_norm(\.[^.]+)?\.weight", Kind.NORM_WEIGHT),
        (rf"({_FEED_FORWARD})(\.shared_expert)?\.(gate|up|down)_proj\.weight", Kind.LINEAR),
        (rf"({_EXPERTS})\.(gate|up|down)_proj\.weight", Kind.LINEAR),
        (rf"({_FEED_FORWARD})\.(gate|up|down)_w", Kind.PACKED_LINEAR),
        (rf"({_FEED_FORWARD}|layers\.\d+\.mlp\.experts\.[^.]+)\.router\.gate\.weight", Kind.ROUTER_GATE),
        (rf"({_FEED_FORWARD})\.router\.expert_bias", Kind.BIAS),
        (rf"({_FEED_FORWARD})\.router\.expert_ema", Kind.EXPERT_EMA),
        (r"adapter\.(proj|proj[12]|[qkvo]_proj|out_proj)\.weight", Kind.LINEAR),
        (r"adapter\.(proj|proj[12]|[qkvo]_proj|out_proj)\.bias", Kind.BIAS),
    ]
]
# One of each, to name what a mistyped name may mean.
_EXAMPLES = [
    "token_embedding.embedding.weight", "output_head.proj.weight", "norm.weight", "layers.0.attention_norm.weight",
    "layers.0.attention.q_proj.weight", "layers.0.attention.k_proj.weight", "layers.0.attention.v_proj.weight",
    "layers.0.attention.o_proj.weight", "layers.0.attention.q_norm.weight", "layers.0.attention.k_norm.weight",
    "layers.0.mlp_norm.weight", "layers.0.mlp.gate_proj.weight", "layers.0.mlp.up_proj.weight",
    "layers.0.mlp.down_proj.weight", "layers.0.mlp.router.gate.weight", "layers.0.mlp.experts.0.up_proj.weight",
]  # fmt: skip


def find_kind(name: str) -> Kind | None:
    """The kind of the parameter of this name; None where no model has one."""
    return next((kind for pattern, kind in _NAMES if pattern.fullmatch(name)), None)


def nearest_name(name: str) -> str:
    """A hint at the name that was meant, with a space before it; empty where none is near."""
    digits = iter(re.findall(r"\d+", name))
    plain = re.sub(r"\d+", "0", name)
    near = difflib.get_close_matches(plain, _EXAMPLES, 1, 0.75)
    return f" (is it {re.sub('0', lambda _: next(digits, '0'), near[0])}?)" if near else ""


def kind_of(name: str, shape: tuple[int, ...]) -> Kind:
    """The kind of a parameter. Raises ForgecheckError where no model has one of this name and number of axes."""
    kind = find_kind(name)
    if kind is None:
        raise ForgecheckError(f"parameter {name}: no model has a parameter of this name{nearest_name(name)}")
    if len(shape) != _RANKS[kind] or 0 in shape:
        raise ForgecheckError(f"parameter {name}: has shape {tuple(shape)}, but needs {_RANKS[kind]} axes, none empty")
    return kind
