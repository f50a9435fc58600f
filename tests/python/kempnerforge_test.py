"""KempnerForge's own models, where it can be imported: known by themselves, right in both types."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("kempnerforge", reason="KempnerForge is not importable: set PYTHONPATH to a checkout")

import forgecheck
from kempnerforge.config.model import ModelConfig
from kempnerforge.config.vlm import VLMConfig
from kempnerforge.model import transformer

SIZES = {
    "dim": 64,
    "n_heads": 4,
    "n_kv_heads": 2,
    "ffn_hidden_dim": 96,
    "n_layers": 2,
    "vocab_size": 61,
    "max_seq_len": 64,
}
EXPERTS = {"num_experts": 4, "moe_shared_experts": 1, "moe_router": "sigmoid_topk", "moe_frequency": 2}


def build(fields=None, vlm=None, images=0):
    model = transformer.Transformer(ModelConfig(**{**SIZES, **(fields or {})}), vlm_config=vlm, num_image_tokens=images)
    return forgecheck.seed(model, 7).eval()


def images():
    """Four image tokens in front of two rows."""
    torch.manual_seed(3)
    return torch.randn(2, 4, 64)


def modality_ids():
    return torch.cat([torch.zeros(2, 4), torch.ones(2, 12)], dim=1).long()


def names(report):
    return {tap.name for tap in report.taps}


OTHER_HEADS = {"cross_attention_every_n_layers": 1, "cross_attention_n_heads": 8, "cross_attention_n_kv_heads": 2}
ARCHITECTURES = {
    "dense": ({}, None, 0),
    "layernorm, gelu, tied": ({"norm_type": "layernorm", "activation": "gelu", "tie_embeddings": True}, None, 0),
    "moe": (EXPERTS, None, 0),
    "moe, packed": ({"num_experts": 4, "moe_packed_experts": True, "moe_capacity_factor": 1.0}, None, 0),
    "cross_attention": ({}, ("cross_attention", {"cross_attention_every_n_layers": 2}), 0),
    "cross_attention, other heads": ({}, ("cross_attention", OTHER_HEADS), 0),
    "mot": ({"qk_norm": True}, ("mot", {}), 4),
    "moma": ({}, ("moma", {"moma_experts_per_modality": {"image": 2, "text": 3}}), 0),
    "moma, capacity": ({}, ("moma", {"moma_capacity_factor": 0.5}), 0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_matches(tokens, name, dtype):
    fields, vlm, count = ARCHITECTURES[name]
    arch = vlm[0] if vlm else None
    model = build(fields, VLMConfig.for_arch(arch, **vlm[1]) if vlm else None, count).to(dtype)
    inputs = {"tokens": tokens}
    if arch == "cross_attention":
        inputs["image_features"] = images()
    elif arch is not None:
        inputs |= {"prefix_embeds": images(), "modality_ids": modality_ids()}
    report = forgecheck.check(model, inputs)
    assert report, report
    assert {"logits", "aux_loss", "z_loss"} <= names(report)
    expected = {
        "moe": {"layers.1.mlp.router.indices", "layers.1.mlp.expert_counts", "layers.1.mlp.router.expert_bias",
                "layers.1.mlp.shared_expert.hidden"},
        "cross_attention": {"cross_attention_layers.0.attn.context"},
        "mot": {"layers.1.attn.q_norm.image", "layers.1.attn.text", "layers.1.image", "mot_norms.text"},
        "moma": {"layers.1.mlp.experts.text.router.scores", "layers.1.mlp.experts.image.expert_counts"},
    }  # fmt: skip
    assert expected.get(name, set()) <= names(report)


def test_images_in_front_of_the_text_are_a_joint_decoder(tokens):
    report = forgecheck.check(build(), {"tokens": tokens, "prefix_embeds": images()})
    assert report.verdict == "match" and report.case.startswith("joint_decoder[")


def test_packed_documents_match(tokens):
    report = forgecheck.check(build(), {"tokens": tokens, "doc_ids": (torch.arange(12) // 5).repeat(2, 1)})
    assert report.verdict == "match" and not report.notes


def test_the_training_mode_changes_the_routers_state(tokens):
    """The weights are those before the run."""
    model = build(EXPERTS).train()
    report = forgecheck.check(model, tokens)
    assert report.verdict == "match" and report.case.endswith("/train")
    assert forgecheck.check(model, tokens).verdict == "match"  # no longer the seeded ones


def test_the_losses_of_training_match(tokens):
    model = build({"num_experts": 4, "moe_aux_loss_weight": 0.5, "moe_router_z_loss_weight": 0.25})
    report = forgecheck.check(model, {"tokens": tokens, "labels": tokens})
    assert report.verdict == "match" and {"loss.cross_entropy", "loss.total"} <= names(report)


def test_decoding_matches(tokens):
    report = forgecheck.check(build(), tokens, chunks=[6, *[1] * 6])
    assert report.verdict == "match" and "layers.1.kv_cache.k" in names(report)


def test_the_mask_of_a_chunk_on_a_filled_cache_is_upstreams_known_mistake(tokens):
    """D1: aligned to the top left."""
    assert forgecheck.check(build(), tokens, chunks=[6, 6]).verdict == "mismatch"


def test_noise_in_training_is_refused(tokens):
    model = build({}, VLMConfig.for_arch("moma")).train()
    with pytest.raises(forgecheck.ForgecheckError, match="moma_gumbel_noise = true"):
        forgecheck.check(model, {"tokens": tokens, "prefix_embeds": images(), "modality_ids": modality_ids()})


def test_a_vision_language_wrapper_is_answered_with_what_to_give():
    class VLMWrapper(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = build()

    with pytest.raises(forgecheck.ForgecheckError, match="VLMWrapper: give its .transformer"):
        forgecheck.seed(VLMWrapper(), 7)


@dataclasses.dataclass
class ExtendedConfig(ModelConfig):
    """A copy's configuration with a field of its own."""

    logit_cap: float = 0.0


def test_a_field_that_a_copy_adds_is_refused_only_where_it_is_used(tokens):
    def build_with(**fields):
        return forgecheck.seed(transformer.Transformer(ExtendedConfig(**SIZES, **fields)), 7)

    assert forgecheck.check(build_with(), tokens).verdict == "match"
    with pytest.raises(forgecheck.ForgecheckError, match=r"case\.model\.logit_cap: unknown field"):
        forgecheck.check(build_with(logit_cap=30.0), tokens)
