"""Seeded tensors: the values that a parameter has in every language, made of its name, its shape and a seed.
docs/traces.md describes them; harness/case/seeded.cpp makes the same bits."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy
from numpy.typing import NDArray

from forgecheck.parameters import Kind, kind_of


def splitmix64(values: NDArray[numpy.uint64]) -> NDArray[numpy.uint64]:
    """One step of splitmix64 for each 64-bit value, in place."""
    values += numpy.uint64(0x9E3779B97F4A7C15)
    values ^= values >> numpy.uint64(30)
    values *= numpy.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> numpy.uint64(27)
    values *= numpy.uint64(0x94D049BB133111EB)
    values ^= values >> numpy.uint64(31)
    return values


@lru_cache(maxsize=65536)
def fnv1a64(text: str) -> int:
    """The 64-bit FNV-1a hash of a text's UTF-8 bytes."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def seeded_key(name: str, seed: int) -> int:
    """Where the seeded values of one tensor begin."""
    return fnv1a64(name) ^ int(splitmix64(numpy.array([seed], numpy.uint64))[0])


def seeded_values(name: str, shape: tuple[int, ...], seed: int, scale: float, offset: float) -> NDArray[numpy.float32]:
    """round32(round32(u * scale) + offset) with u of 24 bits in [-1, 1). As u is exact in float32, float32
    arithmetic rounds just these two times."""
    draws = numpy.arange(math.prod(shape), dtype=numpy.uint64)
    draws += numpy.uint64(seeded_key(name, seed))
    draws = splitmix64(draws) >> numpy.uint64(40)
    values: NDArray[numpy.float32] = (draws.astype(numpy.int32) - numpy.int32(2**23)).astype(numpy.float32)
    values *= numpy.float32(2.0**-23)
    values *= numpy.float32(scale)
    values += numpy.float32(offset)
    return values.reshape(shape)


def scale_and_offset(kind: Kind, shape: tuple[int, ...]) -> tuple[float, float]:
    """The range of a parameter's values, offset - scale to offset + scale. Weights sum over `in` values: the last
    axis, axis 1 of packed experts (E, in, out)."""
    if kind is Kind.LINEAR:
        return math.sqrt(3.0 / shape[-1]), 0.0
    if kind is Kind.PACKED_LINEAR:
        return math.sqrt(3.0 / shape[1]), 0.0
    if kind is Kind.ROUTER_GATE:
        return 2.0 * math.sqrt(3.0 / shape[-1]), 0.0
    if kind is Kind.EMBEDDING:
        return math.sqrt(3.0), 0.0
    if kind is Kind.NORM_WEIGHT:
        return 0.25, 1.0
    if kind is Kind.EXPERT_EMA:
        return 0.5 / shape[0], 1.0 / shape[0]
    return 0.25, 0.0  # biases of norms, routers and adapters


def seeded_parameter(name: str, shape: tuple[int, ...], seed: int) -> NDArray[numpy.float32]:
    """The values of the parameter of this name. Raises ForgecheckError where no model has such a parameter, or
    none of this rank."""
    return seeded_values(name, shape, seed, *scale_and_offset(kind_of(name, shape), shape))
