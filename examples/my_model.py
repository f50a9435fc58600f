"""A small language model as somebody writes it, with names of its own and one mistake, for docs/tutorial.md."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

DIM, LAYERS, HEADS, KV_HEADS, HIDDEN, VOCAB = 64, 2, 4, 2, 96, 61
HEAD = DIM // HEADS


def rotate(x: Tensor) -> Tensor:
    """Rotary positions of x (B, H, S, d)."""
    frequencies = 1.0 / 10000.0 ** (torch.arange(0, HEAD, 2) / HEAD)
    angles = torch.outer(torch.arange(x.shape[2]).float(), frequencies)
    cos, sin = angles.cos(), angles.sin()
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = nn.RMSNorm(DIM, eps=1e-5)
        self.wqkv = nn.Linear(DIM, (HEADS + 2 * KV_HEADS) * HEAD, bias=False)
        self.wo = nn.Linear(HEADS * HEAD, DIM, bias=False)
        self.ln_2 = nn.RMSNorm(DIM, eps=1e-5)
        self.w1 = nn.Linear(DIM, HIDDEN, bias=False)
        self.w3 = nn.Linear(DIM, HIDDEN, bias=False)
        self.w2 = nn.Linear(HIDDEN, DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.wqkv(self.ln_1(x)).unflatten(-1, (-1, HEAD)).transpose(1, 2)
        q, k, v = heads.split([HEADS, KV_HEADS, KV_HEADS], dim=1)
        context = scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True, enable_gqa=True)
        x = x + self.wo(context.transpose(1, 2).flatten(2))
        y = self.ln_2(x)
        return x + self.w2(silu(self.w1(y)) * self.w3(y))


class MyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(VOCAB, DIM)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.RMSNorm(DIM, eps=1e-5)
        self.head = nn.Linear(DIM, VOCAB, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))
