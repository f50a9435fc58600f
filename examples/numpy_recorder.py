#!/usr/bin/env python3
"""Records a trace of a small Llama-like model in plain numpy, by docs/traces.md alone.

    python examples/numpy_recorder.py my_traces/llama.safetensors
    forgecheck verify --golden my_traces --backend golden

--mistake NAME makes one of three common mistakes, to be found by the judge: scale (of the attention's scores), rope
(pairs of neighbours are rotated instead of halves), norm (QK-norm comes after RoPE)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

MODEL = {
    "dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "vocab_size": 61, "ffn_hidden_dim": 96, "max_seq_len": 64,
    "qk_norm": True,
}  # fmt: skip
D, H, K, V, F = (MODEL[name] for name in ("dim", "n_heads", "n_kv_heads", "vocab_size", "ffn_hidden_dim"))
d = D // H  # size of a head
EPS, THETA, SEED = 1e-5, 10000.0, 7
MISTAKES = ("scale", "rope", "norm")


# ---- seeded weights ----


def splitmix64(z: np.ndarray) -> np.ndarray:
    """One step for each 64-bit value."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def fnv1a64(text: str) -> int:
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def seeded(name: str, *shape: int) -> np.ndarray:
    """The weight of this name: norms around 1, the embedding and linear weights by what they sum over."""
    norm, embedding = len(shape) == 1, name.startswith("token_embedding")
    scale, offset = (0.25, 1.0) if norm else (np.sqrt(3.0 if embedding else 3.0 / shape[-1]), 0.0)
    key = np.uint64(fnv1a64(name)) ^ splitmix64(np.array([SEED], np.uint64))
    v = splitmix64(key + np.arange(np.prod(shape), dtype=np.uint64)) >> np.uint64(40)
    u = ((2.0 * v.astype(np.float64) - 2.0**24) / 2.0**24).astype(np.float32)
    return (u * np.float32(scale) + np.float32(offset)).reshape(shape)


# ---- the model: x (B, S, D), all in float32 ----


def linear(x: np.ndarray, name: str, out: int) -> np.ndarray:
    """x W^T with W (out, in)."""
    return x @ seeded(f"{name}.weight", out, x.shape[-1]).T


def rms_norm(x: np.ndarray, name: str) -> np.ndarray:
    """x / sqrt(mean(x^2) + eps) * weight, over the last axis."""
    mean = np.mean(x * x, axis=-1, keepdims=True, dtype=np.float32)
    return x / np.sqrt(mean + np.float32(EPS)) * seeded(f"{name}.weight", x.shape[-1])


def rope(x: np.ndarray, neighbours: bool) -> np.ndarray:
    """x (B, S, heads, d): element j is rotated with j + d/2 by position / theta^(2j/d)."""
    frequencies = np.float32(1) / np.float32(THETA) ** (np.arange(0, d, 2, dtype=np.float32) / np.float32(d))
    angles = np.outer(np.arange(x.shape[1], dtype=np.float32), frequencies)[None, :, None, :]
    cos, sin = np.cos(angles), np.sin(angles)
    if neighbours:
        first, second = x[..., 0::2], x[..., 1::2]
        return np.stack([first * cos - second * sin, second * cos + first * sin], axis=-1).reshape(x.shape)
    first, second = x[..., : d // 2], x[..., d // 2 :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attention(x: np.ndarray, name: str, taps: dict[str, np.ndarray], mistake: str | None) -> np.ndarray:
    """softmax(q k^T / sqrt(d)) v, causal, K key-value heads for H query heads."""
    batch, length, _ = x.shape
    heads = {}
    for part, count in (("q", H), ("k", K), ("v", K)):
        projected = taps[f"{name}.{part}_proj"] = linear(x, f"{name}.{part}_proj", count * d)
        heads[part] = projected.reshape(batch, length, count, d)
    for part in "qk":
        if mistake == "norm":
            heads[part] = taps[f"{name}.{part}_norm"] = rms_norm(rope(heads[part], False), f"{name}.{part}_norm")
        else:
            normed = taps[f"{name}.{part}_norm"] = rms_norm(heads[part], f"{name}.{part}_norm")
            heads[part] = rope(normed, neighbours=mistake == "rope")
    k, v = (np.repeat(heads[part], H // K, axis=2) for part in "kv")
    scores = np.einsum("bqhd,bkhd->bhqk", heads["q"], k)
    if mistake != "scale":
        scores = scores / np.float32(np.sqrt(d))
    scores = np.where(np.tril(np.ones((length, length), bool)), scores, np.float32(-np.inf))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    context = np.einsum("bhqk,bkhd->bqhd", weights, v).reshape(batch, length, H * d)
    taps[f"{name}.context"] = context
    return linear(context, f"{name}.o_proj", D)


def feed_forward(x: np.ndarray, name: str, taps: dict[str, np.ndarray]) -> np.ndarray:
    """down(silu(gate x) * up x)."""
    gate = taps[f"{name}.gate_proj"] = linear(x, f"{name}.gate_proj", F)
    up = taps[f"{name}.up_proj"] = linear(x, f"{name}.up_proj", F)
    hidden = taps[f"{name}.hidden"] = gate / (np.float32(1) + np.exp(-gate)) * up
    return linear(hidden, f"{name}.down_proj", D)


def forward(tokens: np.ndarray, mistake: str | None) -> dict[str, np.ndarray]:
    """Every tap of the model."""
    taps: dict[str, np.ndarray] = {}
    x = taps["token_embedding"] = seeded("token_embedding.embedding.weight", V, D)[tokens]
    for i in range(MODEL["n_layers"]):
        layer = f"layers.{i}"
        normed = taps[f"{layer}.attention_norm"] = rms_norm(x, f"{layer}.attention_norm")
        taps[f"{layer}.attention"] = attention(normed, f"{layer}.attention", taps, mistake)
        x = x + taps[f"{layer}.attention"]
        normed = taps[f"{layer}.mlp_norm"] = rms_norm(x, f"{layer}.mlp_norm")
        taps[f"{layer}.mlp"] = feed_forward(normed, f"{layer}.mlp", taps)
        x = taps[layer] = x + taps[f"{layer}.mlp"]
    taps["norm"] = rms_norm(x, "norm")
    taps["logits"] = linear(taps["norm"], "output_head.proj", V)
    return taps


# ---- the file ----


def write_trace(path: Path, inputs: dict[str, np.ndarray], taps: dict[str, np.ndarray]) -> None:
    """A .safetensors file: the length of the header, the header, the tensors' bytes."""
    metadata = {
        "schema": 1,
        "weights": "seeded",
        "producer": {"backend": "numpy", "version": np.__version__},
        "case": {"model": MODEL, "seed": SEED, "dtype": "float32", "mode": "eval", "run": "forward"},
    }
    tensors = {f"input.{name}": value for name, value in inputs.items()}
    tensors |= {f"expected.{name}": value for name, value in taps.items()}
    header: dict[str, object] = {"__metadata__": {"forgecheck": json.dumps(metadata)}}
    begin = 0
    for name, value in tensors.items():
        dtype = {"float32": "F32", "int64": "I64"}[value.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [begin, begin + value.nbytes]}
        begin += value.nbytes
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in tensors.values():
            file.write(value.tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description="Records a trace of a small model in plain numpy.")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")
    parser.add_argument("--mistake", choices=MISTAKES)
    arguments = parser.parse_args()
    tokens = (np.arange(24) * 7 % V).reshape(2, 12)
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64
        taps = forward(tokens, arguments.mistake)
    write_trace(arguments.out, {"tokens": tokens}, taps)


if __name__ == "__main__":
    main()
