"""Outputs in the shape of their tap."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from forgecheck.tensors import fitted, whole


def fit(shape, tap, heads_first=True):
    value = torch.arange(torch.Size(shape).numel()).reshape(shape)
    return value, fitted(value, tap, heads_first)


def test_a_value_of_the_taps_shape_stays():
    value, found = fit((2, 5, 8), (2, 5, 8))
    assert found is value


def test_tokens_in_one_axis_or_two_are_the_same():
    value, found = fit((2, 5, 4), (10, 4))
    assert torch.equal(found, value.reshape(10, 4))
    value, found = fit((10, 4), (2, 5, 4))
    assert found is value  # the judge says that the shape is another


def test_heads_in_an_axis_of_their_own_are_joined():
    value, found = fit((2, 5, 4, 2), (2, 5, 8))
    assert torch.equal(found, value.reshape(2, 5, 8))


def test_heads_before_positions_are_moved_behind_them():
    value, found = fit((2, 4, 5, 3), (2, 5, 4, 3))
    assert torch.equal(found, value.transpose(1, 2))


def test_where_nobody_knows_which_axis_is_which_nothing_is_recorded():
    assert fit((2, 4, 4, 3), (2, 4, 4, 3))[1] is None
    value, found = fit((2, 4, 4, 3), (2, 4, 4, 3), heads_first=False)
    assert found is value


def test_another_width_stays_for_the_judge_to_name():
    value, found = fit((2, 5, 7), (2, 5, 8))
    assert found is value


def test_a_copy_shares_no_memory():
    value = torch.zeros(4)
    copy = whole(value)
    value += 1
    assert copy.tolist() == [0, 0, 0, 0] and not whole(value.requires_grad_()).requires_grad
