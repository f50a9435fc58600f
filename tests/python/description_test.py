"""What the program says of a case."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from forgecheck import ForgecheckError
from forgecheck.description import architecture_of_config, tap_shapes

MODEL = "[model]\ndim = 64\nn_layers = 1\nn_heads = 4\nvocab_size = 61\nmax_seq_len = 64\n"


def test_a_configuration_is_read_by_the_program():
    assert architecture_of_config("a.toml", MODEL)["model"]["n_heads"] == 4


def test_a_configuration_of_defaults_has_no_fields():
    assert architecture_of_config("a.toml", "[model]\n") == {"model": {}}


@pytest.mark.parametrize("arch", ["joint_decoder", "cross_attention", "mot", "moma"])
def test_an_architecture_with_images_is_read_without_any(arch):
    case = architecture_of_config("a.toml", MODEL + f'[vlm]\narch = "{arch}"\nmax_text_len = 8\n')
    assert case["vlm"] == {"arch": arch, "max_text_len": 8}


def test_a_slash_in_a_value_is_part_of_it():
    vlm = '[vlm]\narch = "mot"\nmax_text_len = 8\nmot_warm_start_from_text = true\nmot_warm_start_path = "a/b.pt"\n'
    case = architecture_of_config("a.toml", MODEL + vlm)
    assert case["vlm"]["mot_warm_start_path"] == "a/b.pt" and case["model"]["dim"] == 64


def test_a_refusal_names_the_file_as_its_owner_does():
    with pytest.raises(ForgecheckError, match=r"^a\.toml:7: model\.dims = 3: unknown field"):
        architecture_of_config("a.toml", MODEL + "dims = 3\n")


def test_the_taps_of_a_case_have_the_shapes_of_its_inputs():
    tokens = torch.zeros(3, 5, dtype=torch.int64)
    case = {"model": {"dim": 64, "n_layers": 1, "n_heads": 4, "vocab_size": 61}}
    shapes = tap_shapes(case, {"tokens": tokens})
    assert shapes["logits"] == (3, 5, 61) and shapes["layers.0.attention.context"] == (3, 5, 64)


def test_a_case_that_is_refused_is_one_error_with_field_and_value():
    with pytest.raises(ForgecheckError, match=r"^model\.n_heads = 5: "):
        tap_shapes({"model": {"dim": 64, "n_heads": 5}}, {"tokens": torch.zeros(1, 1, dtype=torch.int64)})
