"""Models of the transformers library, tiny and with random weights: known by themselves, right in both types."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

import forgecheck
from families import FAMILIES, VERSION, make


def names(report):
    return {tap.name for tap in report.taps}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_with_its_own_weights_matches(tokens, name, dtype):
    report = forgecheck.check(make(name, dtype=dtype), tokens)
    assert report, report
    assert {"token_embedding", "layers.1.attention_norm", "layers.1.attention.q_proj", "layers.1.attention.context",
            "layers.1.attention", "layers.1.mlp_norm", "layers.1.mlp", "layers.1", "norm",
            "logits"} <= names(report)  # fmt: skip
    if name.startswith("qwen3"):
        assert "layers.1.attention.k_norm" in names(report)
    experts = {"layers.1.mlp.router.gate"}
    if VERSION >= 5:  # before, choosing the experts was no module
        experts |= {"layers.1.mlp.router.weights", "layers.1.mlp.router.indices"}
    dense = {"layers.1.mlp.gate_proj", "layers.1.mlp.up_proj", "layers.1.mlp.hidden"}
    assert (experts if "num_experts_per_tok" in FAMILIES[name][1] else dense) <= names(report)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seeded_model_matches_and_needs_no_weights(tokens, name, tmp_path):
    model = forgecheck.seed(make(name), 7)
    report = forgecheck.check(model, tokens, path=tmp_path / "trace.safetensors")
    assert report.verdict == "match", report
    assert [path.name for path in tmp_path.iterdir()] == ["trace.safetensors"]


@pytest.mark.parametrize("name", FAMILIES)
def test_decoding_with_a_cache_matches(tokens, name):
    report = forgecheck.check(make(name), tokens, chunks=[6, *[1] * 6])
    assert report.verdict == "match", report
    assert {"logits", "layers.1.kv_cache.k", "layers.1.kv_cache.v"} <= names(report)


@pytest.mark.parametrize("name", ["llama", "mixtral"])
def test_the_loss_is_that_of_the_next_token(tokens, name):
    """transformers shifts the labels itself."""
    labels = tokens.clone()
    labels[0, :3] = -100
    report = forgecheck.check(make(name), {"input_ids": tokens, "labels": labels})
    assert report.verdict == "match", report
    assert {"loss.cross_entropy", "loss.total"} <= names(report)


def test_a_wrong_loss_does_not_match(tokens):
    def not_shifted(model, inputs):
        logits = model(inputs["tokens"]).logits
        return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), inputs["labels"].flatten())

    report = forgecheck.check(make("llama"), {"tokens": tokens, "labels": tokens}, call=not_shifted)
    assert report.first_divergence.tap == "loss.cross_entropy"


def test_a_changed_norm_is_told(tokens):
    model = make("qwen3")
    model.model.layers[1].self_attn.q_norm.variance_epsilon = 0.1
    report = forgecheck.check(model, tokens)
    assert report.first_divergence.tap == "layers.1.attention.q_norm"


def test_an_attention_mask_of_ones_says_nothing(tokens):
    report = forgecheck.check(make("llama"), {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)})
    assert report.verdict == "match"


def test_padding_is_refused_with_its_place(tokens):
    mask = torch.ones_like(tokens)
    mask[1, 0] = 0
    with pytest.raises(forgecheck.ForgecheckError, match=r"attention_mask is 0 at \[1, 0\]"):
        forgecheck.check(make("llama"), {"input_ids": tokens, "attention_mask": mask})


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("llama", {"hidden_act": "gelu"}, 'hidden_act = "gelu"'),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4}}, "rope_parameters"),
        ("mixtral", {"output_router_logits": True}, "output_router_logits = true"),
        ("qwen3_moe", {"norm_topk_prob": False}, "norm_topk_prob = false"),
    ],
)
def test_a_configuration_that_cannot_be_expressed_is_refused_by_field_and_value(tokens, name, fields, words):
    with pytest.raises(forgecheck.ForgecheckError, match="^config.json: ") as error:
        forgecheck.check(make(name, fields), tokens)
    assert words in str(error.value)


def test_dropout_of_the_attention_is_refused_in_training_mode(tokens):
    model = make("llama", {"attention_dropout": 0.1})
    assert forgecheck.check(model, tokens)
    with pytest.raises(forgecheck.ForgecheckError, match="attention_dropout = 0.1: drops values at random"):
        forgecheck.check(model.train(), tokens)


def test_a_model_without_a_head_is_refused(tokens):
    with pytest.raises(forgecheck.ForgecheckError, match="has no lm_head"):
        forgecheck.check(make("llama").model, tokens)


def test_a_family_that_the_reference_does_not_have_is_refused_by_name(tokens):
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=64, n_head=4, n_layer=1, vocab_size=61)).eval()
    with pytest.raises(forgecheck.ForgecheckError, match='model_type = "gpt2": must be one of'):
        forgecheck.check(model, tokens)


def test_seeding_a_family_that_is_not_known_changes_nothing():
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=64, n_head=4, n_layer=1, vocab_size=61))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(forgecheck.ForgecheckError, match="parameter transformer.wte.weight"):
        forgecheck.seed(model, 7)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.skipif(VERSION < 5, reason="needs transformers 5")
def test_the_experts_of_version_5_get_the_values_of_each_expert():
    from forgecheck.seeding import seeded_parameter

    model = forgecheck.seed(make("mixtral"), 7)
    fused = model.model.layers[1].mlp.experts.gate_up_proj
    up = seeded_parameter("layers.1.mlp.experts.2.up_proj.weight", (96, 64), 7)
    assert torch.equal(fused[2, 96:], torch.from_numpy(up))
