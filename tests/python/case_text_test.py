"""The one-line text of an architecture, taken apart."""

from __future__ import annotations

import pytest
from forgecheck import ForgecheckError
from forgecheck.case_text import parse_architecture


def test_values_are_numbers_words_quoted_text_lists_and_tables():
    text = (
        'moma[dim=64,norm_eps=1e-06,tie_embeddings=true,norm_type=layernorm,model_type="a \\"b\\", c",'
        "moma_modalities=[image,text],moma_experts_per_modality={image=2,text=3},rope_theta=500000.0]"
    )
    case = parse_architecture(text)
    assert case["model"] == {
        "dim": 64, "norm_eps": 1e-6, "tie_embeddings": True, "norm_type": "layernorm", "model_type": 'a "b", c',
        "rope_theta": 500000.0,
    }  # fmt: skip
    experts = {"image": 2, "text": 3}
    assert case["vlm"] == {"arch": "moma", "moma_modalities": ["image", "text"], "moma_experts_per_modality": experts}


def test_fields_go_to_their_sections():
    case = parse_architecture("mot[dim=64,max_text_len=8,num_image_tokens=4,adapter.type=linear,feature_dim=24]")
    assert case == {
        "model": {"dim": 64}, "vlm": {"arch": "mot", "max_text_len": 8}, "num_image_tokens": 4,
        "adapter": {"type": "linear", "feature_dim": 24},
    }  # fmt: skip


def test_an_architecture_may_have_no_fields():
    assert parse_architecture("dense") == {"model": {}} == parse_architecture("dense[]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sparse[dim=64]", "must be arch"),
        ("dense[dim=64]/batch=2", "sizes, type and run come from the model"),
        ("dense[dim=64", "must be arch"),
        ("dense[dim]", 'ends where "=" is expected'),
        ("dense[dim=]", "ends where a value is expected"),
        ("dense[dim=,n_heads=4]", 'expected a value before ","'),
        ("dense[dim=64,dim=32]", "dim is given twice"),
        ("dense[dim=64 n_heads=4]", 'expected "," before "="'),
    ],
)
def test_a_malformed_text_is_one_error_that_shows_it(text, words):
    with pytest.raises(ForgecheckError, match=r"^case \"") as error:
        parse_architecture(text)
    assert text in str(error.value) and words in str(error.value)
