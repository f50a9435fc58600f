"""The seeded tensors, to the bit."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT
from forgecheck import ForgecheckError
from forgecheck.parameters import kind_of
from forgecheck.seeding import fnv1a64, scale_and_offset, seeded_key, seeded_parameter, splitmix64

numpy = pytest.importorskip("numpy")
VECTORS = json.loads((ROOT / "tests/data/seeded_vectors.json").read_text())


def fnv1a64_of_bytes(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def test_the_two_functions_are_the_published_ones():
    assert int(splitmix64(numpy.array([0], numpy.uint64))[0]) == int(VECTORS["splitmix64(0)"], 16)
    assert fnv1a64("") == int(VECTORS["fnv1a64('')"], 16)


@pytest.mark.parametrize("vector", VECTORS["tensors"], ids=lambda vector: vector["name"])
def test_every_tensor_has_the_bits_of_the_test_vectors(vector):
    name, shape, seed = vector["name"], tuple(vector["shape"]), int(vector["seed"])
    assert seeded_key(name, seed) == int(vector["key"], 16)
    scale, offset = scale_and_offset(kind_of(name, shape), shape)
    assert numpy.float32(scale) == float.fromhex(vector["scale"])
    assert numpy.float32(offset) == float.fromhex(vector["offset"])
    values = seeded_parameter(name, shape, seed)
    assert values.shape == shape and values.dtype == numpy.float32
    assert [float(value) for value in values.ravel()[: len(vector["first"])]] == list(
        map(float.fromhex, vector["first"])
    )
    expected = int(vector["fnv1a64_of_little_endian_bytes"], 16)
    assert fnv1a64_of_bytes(values.astype("<f4").tobytes()) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("layers.0.attention.q_norm.weight", "norm_weight"),
        ("layers.10.attn.q_proj.image.weight", "linear"),
        ("layers.0.attn_norm.text.bias", "bias"),
        ("layers.1.mlp.text.router.gate.weight", "router_gate"),
        ("layers.1.mlp.image.experts.3.up_proj.weight", "linear"),
        ("layers.1.mlp.experts.image.router.gate.weight", "router_gate"),
        ("layers.1.mlp.experts.image.experts.0.gate_proj.weight", "linear"),
        ("layers.1.mlp.shared_expert.down_proj.weight", "linear"),
        ("cross_attention_layers.0.attn.o_proj.weight", "linear"),
        ("mot_norms.text.weight", "norm_weight"),
        ("output_head.proj.weight", "linear"),
        ("adapter.out_proj.weight", "linear"),
    ],
)
def test_the_kind_follows_from_the_name(name, kind):
    rank = 1 if kind in ("norm_weight", "bias") else 2
    assert kind_of(name, (4,) * rank).value == kind


@pytest.mark.parametrize("name", ["layers.0.attention.query.weight", "layers.x.mlp.up_proj.weight", "lm_head.weight",
                                  "layers.0.attention.o_proj.bias", "layers.0.attention.o_norm.weight"])  # fmt: skip
def test_a_name_that_no_model_has_is_refused(name):
    with pytest.raises(ForgecheckError, match=f"parameter {name}: no model has a parameter of this name"):
        seeded_parameter(name, (4, 4), 7)


def test_a_mistyped_name_is_answered_with_the_nearest():
    with pytest.raises(ForgecheckError, match=r"is it layers\.3\.attention\.q_proj\.weight\?"):
        kind_of("layers.3.attention.qproj.weight", (4, 4))


def test_a_shape_of_another_rank_is_refused():
    with pytest.raises(ForgecheckError, match=r"norm\.weight: has shape \(4, 4\), but needs 1 axes"):
        seeded_parameter("norm.weight", (4, 4), 7)
