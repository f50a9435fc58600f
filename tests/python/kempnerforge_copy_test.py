"""Copies of KempnerForge in which somebody has changed the attention: each is told apart in three lines."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
kempnerforge = pytest.importorskip(
    "kempnerforge", reason="KempnerForge is not importable: set PYTHONPATH to a checkout"
)

import forgecheck

NORM = """\
        if self.q_norm is not None:
            q = self.q_norm(q)
            k = self.k_norm(k)  # type: ignore[reportOptionalCall]
"""
ROPE = """\
        q = apply_rope(q, rope_cos, rope_sin)
        k = apply_rope(k, rope_cos, rope_sin)
"""
SCORES = "F.scaled_dot_product_attention(q, k, v, is_causal=is_causal"
LAYERS = """\
        self.q_proj = nn.Linear(dim, n_heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(dim, n_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(dim, n_kv_heads * self.head_dim, bias=False)
"""
FUSED_LAYER = """\
        self.qkv = nn.Linear(dim, (n_heads + 2 * n_kv_heads) * self.head_dim, bias=False)
"""
PROJECTIONS = """\
        q = self.q_proj(x).view(batch, seq_len, -1, self.head_dim)
        k = self.k_proj(x).view(batch, seq_len, -1, self.head_dim)
        v = self.v_proj(x).view(batch, seq_len, -1, self.head_dim)
"""
FUSED_PROJECTION = """\
        heads = self.qkv(x).view(batch, seq_len, -1, self.head_dim)
        q, k, v = heads.split([self.n_heads, self.n_kv_heads, self.n_kv_heads], dim=2)
"""


@pytest.fixture
def model_of_copy(tmp_path, monkeypatch):
    """A model of a copy of KempnerForge in a package of its own, with these changes to its attention.py."""

    def build(package, changes, **fields):
        shutil.copytree(Path(kempnerforge.__file__).parent, tmp_path / package)
        for file in (tmp_path / package).rglob("*.py"):
            file.write_text(file.read_text().replace("kempnerforge", package))
        attention = tmp_path / package / "model/attention.py"
        text = attention.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"KempnerForge has changed: {old}"
            text = text.replace(old, new)
        attention.write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        config = importlib.import_module(f"{package}.config.model").ModelConfig
        transformer = importlib.import_module(f"{package}.model.transformer").Transformer
        sizes = {"dim": 64, "n_heads": 4, "n_kv_heads": 2, "ffn_hidden_dim": 96, "n_layers": 2, "vocab_size": 61}
        torch.manual_seed(1)
        return transformer(config(**sizes, **fields)).eval()

    return build


def test_qk_norm_after_rope_is_told_by_the_norm_of_the_queries(tokens, model_of_copy):
    model = model_of_copy("forge_norm", [(NORM, ""), (ROPE, ROPE + NORM)], qk_norm=True)
    report = forgecheck.check(model, tokens)
    assert report.first_divergence.module == "layers.0.attention.q_norm"
    assert "the norm comes after rope instead of before" in report.hint


def test_unscaled_attention_is_told_by_what_the_output_projection_reads(tokens, model_of_copy):
    model = model_of_copy("forge_scale", [(SCORES, SCORES + ", scale=1.0")])
    report = forgecheck.check(model, tokens)
    assert report.first_divergence.tap == "layers.0.attention.context"
    assert report.first_divergence.module == "the input of layers.0.attention.o_proj"
    assert "the scores are not divided by sqrt(head_dim)" in report.hint


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fused_projection_that_is_right_matches(tokens, model_of_copy, dtype):
    """One rule says what the matrix holds; how wide each part is follows from the model's configuration."""
    model = model_of_copy(f"forge_fused_{str(dtype)[6:]}", [(LAYERS, FUSED_LAYER), (PROJECTIONS, FUSED_PROJECTION)])
    names = {"layers.*.attention.qkv": "layers.*.attention.{q_proj,k_proj,v_proj}"}
    report = forgecheck.check(model.to(dtype), tokens, names=names)
    assert report.verdict == "match", report
    assert {"layers.1.attention.q_proj", "layers.1.attention.v_proj"} <= {tap.name for tap in report.taps}


def test_a_fused_projection_with_keys_and_values_exchanged_is_told(tokens, model_of_copy):
    exchanged = FUSED_PROJECTION.replace("q, k, v = heads", "q, v, k = heads")
    model = model_of_copy("forge_exchanged", [(LAYERS, FUSED_LAYER), (PROJECTIONS, exchanged)])
    names = {"layers.*.attention.qkv": "layers.*.attention.{q_proj,k_proj,v_proj}"}
    report = forgecheck.check(forgecheck.seed(model, 7, names=names), tokens, names=names)
    assert report.first_divergence.tap == "layers.0.attention.context"
