"""Rules from a model's names to forgecheck's, and the parts of fused projections."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from forgecheck import ForgecheckError
from forgecheck.names import Heads, Names, plain_name

RULES = {
    "wte": "token_embedding",
    "blocks.*": "layers.*",
    "blocks.*.wq": "layers.*.attention.q_proj",
    "experts.*.*.w1": "layers.*.mlp.experts.*.gate_proj",
    "blocks.9.wq": "layers.9.attention.k_proj",
    "extra": None,
    "inner": "",
    "head": "output_head",
}


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("blocks.0.wq", "layers.0.attention.q_proj"),
        ("blocks.10.wq.weight", "layers.10.attention.q_proj.weight"),
        ("blocks.9.wq", "layers.9.attention.k_proj"),
        ("blocks.1", "layers.1"),
        ("blocks.1.attention.k_proj", "layers.1.attention.k_proj"),
        ("experts.3.5.w1.weight", "layers.3.mlp.experts.5.gate_proj.weight"),
        ("wte", "token_embedding"),
        ("wte.weight", "token_embedding.embedding.weight"),
        ("head.weight", "output_head.proj.weight"),
        ("extra", None),
        ("extra.weight", None),
        ("inner.norm.weight", "norm.weight"),
        ("norm.weight", "norm.weight"),
        ("xblocks.0.wq", "xblocks.0.wq"),
    ],
)
def test_the_rule_for_the_longest_part_of_a_name_decides(own, name):
    assert Names(RULES).find(own) == name


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("_orig_mod.layers.0", "layers.0"),
        ("layers.0._orig_mod.mlp", "layers.0.mlp"),
        ("layers.0._checkpoint_wrapped_module", "layers.0"),
        ("layers", "layers"),
    ],
)
def test_what_wrappers_put_into_a_name_is_taken_out(own, name):
    assert plain_name(own) == name


def test_a_target_has_no_more_stars_than_the_name():
    with pytest.raises(ForgecheckError, match=r'names\["wq"\] = "layers\.\*\.attention\.q_proj": has more \*'):
        Names({"wq": "layers.*.attention.q_proj"})


def test_the_heads_of_a_case_have_its_defaults():
    assert Heads.of({"dim": 64, "n_heads": 4}) == Heads(4, 4, 16)
    assert Heads.of({"dim": 64, "n_heads": 4, "n_kv_heads": 2}) == Heads(4, 2, 16)
    assert Heads.of({}) == Heads(32, 32, 128)


HEADS = Heads(n_heads=4, n_kv_heads=2, head_dim=3)  # queries are 12 wide, keys and values 6


def parts(target, tensor, heads=HEADS):
    return {piece.name: piece.value for piece in Names({}, lambda: heads).parameter(target, tensor)}


def test_projections_side_by_side_are_as_wide_as_their_heads():
    weight = torch.arange(24 * 2).reshape(24, 2)
    found = parts("a.{q_proj,k_proj,v_proj}.weight", weight)
    assert list(found) == ["a.q_proj.weight", "a.k_proj.weight", "a.v_proj.weight"]
    assert torch.equal(found["a.q_proj.weight"], weight[:12])
    assert torch.equal(found["a.k_proj.weight"], weight[12:18])
    assert torch.equal(found["a.v_proj.weight"], weight[18:])


def test_projections_by_key_value_head_are_gathered():
    """Two groups of two queries, a key and a value, each of three rows."""
    weight = torch.arange(24)[:, None]
    found = parts("a.{q_proj|k_proj|v_proj}.weight", weight)
    assert found["a.q_proj.weight"][:, 0].tolist() == [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17]
    assert found["a.k_proj.weight"][:, 0].tolist() == [6, 7, 8, 18, 19, 20]
    assert found["a.v_proj.weight"][:, 0].tolist() == [9, 10, 11, 21, 22, 23]


def test_a_part_is_a_view_so_that_it_can_be_filled():
    weight = torch.zeros(24, 2)
    for piece in Names({}, lambda: HEADS).parameter("a.{q_proj|k_proj|v_proj}.weight", weight):
        piece.view.copy_(torch.full(piece.shape, float("qkv".index(piece.name[2]))).reshape(piece.view.shape))
    assert weight[:, 0].tolist() == 2 * ([0] * 6 + [1] * 3 + [2] * 3)


def test_other_parts_are_equally_wide():
    weight = torch.arange(8)[:, None]
    assert parts("m.{gate_proj,up_proj}.weight", weight, None)["m.up_proj.weight"][:, 0].tolist() == [4, 5, 6, 7]


def test_a_number_sign_is_the_index_of_the_first_axis():
    weight = torch.arange(2 * 4 * 3).reshape(2, 4, 3)
    found = parts("e.#.{gate_proj,up_proj}.weight", weight, None)
    assert list(found) == ["e.0.gate_proj.weight", "e.0.up_proj.weight", "e.1.gate_proj.weight", "e.1.up_proj.weight"]
    assert torch.equal(found["e.1.up_proj.weight"], weight[1, 2:])


def test_outputs_are_split_along_their_last_axis():
    output = torch.arange(2 * 5 * 24).reshape(2, 5, 24)
    found = Names({}, lambda: HEADS).output("a.{q_proj,k_proj,v_proj}", output)
    assert torch.equal(found["a.k_proj"], output[..., 12:18])
    assert Names({}).output("a", output) == {"a": output}


def test_without_a_case_a_fused_projection_cannot_be_split():
    with pytest.raises(ForgecheckError, match="is split by the heads of the case: give case="):
        parts("a.{q_proj,k_proj,v_proj}.weight", torch.zeros(24, 2), None)


@pytest.mark.parametrize(("target", "rows", "words"), [
    ("a.{q_proj,k_proj,v_proj}.weight", 23, "the parts are 12 + 6 + 6 wide, the whole is 23"),
    ("m.{gate_proj,up_proj}.weight", 7, "the parts are 3 + 3 wide, the whole is 7"),
])  # fmt: skip
def test_parts_that_are_not_the_whole_are_refused(target, rows, words):
    with pytest.raises(ForgecheckError) as error:
        parts(target, torch.zeros(rows, 2))
    assert words in str(error.value)
