#!/usr/bin/env python3
"""Measures what PyTorch's float32 functions lose against float64 on the same inputs: evidence for the table `loss` of
reference/sampled.h.

    python scripts/measure_functions.py [--device cpu] [--count 1048576]

Prints one row for each function: the largest and the root mean square error in units of u = 2^-24, relative to the
value unless the column `of` says otherwise. Needs torch."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

try:
    import torch
except ModuleNotFoundError:
    sys.exit("measure_functions: cannot import torch: install it")

UNIT = 2.0**-24


@dataclass
class Function:
    """A function, where it is measured, and what its error is relative to (None: the value)."""

    name: str
    compute: Callable[[torch.Tensor], torch.Tensor]
    low: float
    high: float
    of: str = "value"
    size: Callable[[torch.Tensor], torch.Tensor] | None = None


FUNCTIONS = [
    Function("exp", torch.exp, -8, 8),
    Function("erf", torch.erf, -8, 8),
    Function("gelu", torch.nn.functional.gelu, -8, 8, "abs(x) / 2", lambda x: x.abs() / 2),
    Function("sigmoid", torch.sigmoid, -8, 8),
    Function("silu", torch.nn.functional.silu, -8, 8),
    Function("tanh", torch.tanh, -8, 8),
    Function("log", torch.log, 1, 1000, "max(1, value)", lambda x: x.log().clamp(min=1)),
    Function("rsqrt", torch.rsqrt, 0.01, 100),
    Function("division", lambda x: 1 / x, 0.01, 100),
    Function("cos", torch.cos, -1000, 1000, "1", torch.ones_like),
    Function("sin", torch.sin, -1000, 1000, "1", torch.ones_like),
    Function("pow(10000, -x)", lambda x: torch.pow(torch.full_like(x, 10000.0), -x), 0, 1),
]


def measure(function: Function, count: int, device: str) -> tuple[float, float]:
    """The largest and the root mean square error, in u."""
    generator = torch.Generator().manual_seed(7)
    x = torch.rand(count, generator=generator) * (function.high - function.low) + function.low
    exact = function.compute(x.double())
    computed = function.compute(x.to(device)).cpu().double()
    size = exact.abs() if function.size is None else function.size(x.double())
    errors = ((computed - exact).abs() / size.clamp(min=torch.finfo(torch.float32).tiny)) / UNIT
    return errors.max().item(), errors.square().mean().sqrt().item()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Measures what PyTorch's float32 functions lose.")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, ...")
    parser.add_argument("--count", type=int, default=2**20, help="inputs of each function (default: 2^20)")
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error(f"--count {arguments.count}: must be positive")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {arguments.device}, {arguments.count} inputs each\n")
    print("| function | of | largest (u) | rms (u) |\n|---|---|---|---|")
    for function in FUNCTIONS:
        largest, rms = measure(function, arguments.count, arguments.device)
        print(f"| {function.name} | {function.of} | {largest:.2f} | {rms:.2f} |")


if __name__ == "__main__":
    main()
