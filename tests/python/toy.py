"""Models shaped as KempnerForge's, of our own: with its names or with others, right or with one mistake."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

CASE = "dense[dim=64,n_layers=2,n_heads=4,n_kv_heads=2,vocab_size=61,ffn_hidden_dim=96,max_seq_len=64,qk_norm=true]"
PLAIN_CASE = CASE.replace(",qk_norm=true", "")
DIM, HEADS, KV_HEADS, HIDDEN, VOCAB = 64, 4, 2, 96, 61
HEAD_DIM = DIM // HEADS


class RMSNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight.float()).to(x.dtype)


def rope(x: Tensor) -> Tensor:
    """x (B, H, S, d): rotated by halves."""
    half = x.shape[-1] // 2
    frequencies = 1.0 / 10000.0 ** (torch.arange(half).float() / half)
    angles = torch.outer(torch.arange(x.shape[2]).float(), frequencies)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Attention(nn.Module):
    """Grouped-query attention. `order`: where QK-norm stands, before or after RoPE; none without it."""

    def __init__(self, order: str | None = "before", scale: float | None = None) -> None:
        super().__init__()
        self.order, self.scale = order, scale
        self.q_proj = nn.Linear(DIM, HEADS * HEAD_DIM, bias=False)
        self.k_proj = nn.Linear(DIM, KV_HEADS * HEAD_DIM, bias=False)
        self.v_proj = nn.Linear(DIM, KV_HEADS * HEAD_DIM, bias=False)
        self.o_proj = nn.Linear(DIM, DIM, bias=False)
        if order is not None:
            self.q_norm, self.k_norm = RMSNorm(HEAD_DIM), RMSNorm(HEAD_DIM)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, S, d)."""
        parts = (self.q_proj(x), self.k_proj(x), self.v_proj(x))
        return tuple(part.unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2) for part in parts)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        if self.order == "before":
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rope(q), rope(k)
        if self.order == "after":
            q, k = self.q_norm(q), self.k_norm(k)
        k, v = (part.repeat_interleave(HEADS // KV_HEADS, dim=1) for part in (k, v))
        context = scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale)
        return self.o_proj(context.transpose(1, 2).flatten(2))


class FusedAttention(Attention):
    """One matrix for queries, keys and values, either side by side or for each key-value head."""

    def __init__(self, by_head: bool = False) -> None:
        super().__init__(order=None)
        self.by_head = by_head
        del self.q_proj, self.k_proj, self.v_proj
        self.qkv = nn.Linear(DIM, (HEADS + 2 * KV_HEADS) * HEAD_DIM, bias=False)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heads = self.qkv(x).unflatten(-1, (-1, HEAD_DIM))
        if self.by_head:
            grouped = heads.unflatten(2, (KV_HEADS, -1))  # (B, S, K, H/K + 2, d)
            parts = (grouped[..., :-2, :], grouped[..., -2:-1, :], grouped[..., -1:, :])
            parts = tuple(part.flatten(2, 3) for part in parts)
        else:
            parts = heads.split([HEADS, KV_HEADS, KV_HEADS], dim=2)
        return tuple(part.transpose(1, 2) for part in parts)


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(DIM, HIDDEN, bias=False)
        self.up_proj = nn.Linear(DIM, HIDDEN, bias=False)
        self.down_proj = nn.Linear(HIDDEN, DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention_norm, self.attention = RMSNorm(DIM), attention
        self.mlp_norm, self.mlp = RMSNorm(DIM), MLP()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Model(nn.Module):
    """`attention()` makes the attention of a layer."""

    def __init__(self, attention=Attention) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(VOCAB, DIM)
        self.layers = nn.ModuleList([Layer(attention()) for _ in range(2)])
        self.norm = RMSNorm(DIM)
        self.output_head = nn.Linear(DIM, VOCAB, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token_embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.output_head(self.norm(x))


class Other(nn.Module):
    """The same computation under names of its own; the residual stream is changed in place."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            plain = Attention(order=None)
            self.n1, self.n2 = RMSNorm(DIM), RMSNorm(DIM)
            self.wq, self.wk, self.wv, self.wo = plain.q_proj, plain.k_proj, plain.v_proj, plain.o_proj
            self.w13 = nn.Linear(DIM, 2 * HIDDEN, bias=False)
            self.w2 = nn.Linear(HIDDEN, DIM, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.n1(x)
            q, k, v = (
                project(y).unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2) for project in (self.wq, self.wk, self.wv)
            )
            q, k = rope(q), rope(k).repeat_interleave(HEADS // KV_HEADS, dim=1)
            context = scaled_dot_product_attention(q, k, v.repeat_interleave(HEADS // KV_HEADS, dim=1), is_causal=True)
            x = x + self.wo(context.transpose(1, 2).flatten(2))
            gate, up = self.w13(self.n2(x)).chunk(2, dim=-1)
            out = self.w2(silu(gate) * up)
            x += out
            return x

    NAMES = {
        "wte": "token_embedding",
        "blocks.*": "layers.*",
        "blocks.*.n1": "layers.*.attention_norm",
        "blocks.*.wq": "layers.*.attention.q_proj",
        "blocks.*.wk": "layers.*.attention.k_proj",
        "blocks.*.wv": "layers.*.attention.v_proj",
        "blocks.*.wo": "layers.*.attention.o_proj",
        "blocks.*.n2": "layers.*.mlp_norm",
        "blocks.*.w13": "layers.*.mlp.{gate_proj,up_proj}",
        "blocks.*.w2": "layers.*.mlp.down_proj",
        "ln_f": "norm",
        "head": "output_head",
    }

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(VOCAB, DIM)
        self.blocks = nn.ModuleList([Other.Block(), Other.Block()])
        self.ln_f = RMSNorm(DIM)
        self.head = nn.Linear(DIM, VOCAB, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))
