#!/usr/bin/env python3
"""The least time that each kernel of the GPU backend can take on an H100, on paper: bytes and operations of one
forward call of a model of Llama 3's 8B sizes in bfloat16, compared with published figures of the chip.

Prints two tables in Markdown; --write FILE puts them into FILE between its markers, --check FILE fails where they are
not what stands there."""
import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

# NVIDIA's data sheet of the H100 SXM: bfloat16 on tensor cores without sparsity, float32 outside of them, HBM3.
TENSOR = 989.5e12
FLOAT = 67e12
MEMORY = 3.35e12
# A multiprocessor has 128 float32 units (two operations in a fused multiply-add) and reads 32 words of shared memory
# in a cycle. So a kernel that reads a word for each multiply-add can use a quarter of the units.
SHARED = FLOAT / 4

DIM, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCAB = 4096, 32, 32, 8, 128, 14336, 128256
BF16, F32, I64 = 2, 4, 8
CONTEXT = 8192
SPLIT = 64  # keys of a block of attend_split
BEGIN, END = "<!-- roofline: begin -->", "<!-- roofline: end -->"


@dataclass
class Kernel:
    step: str
    name: str
    launches: int
    bytes: int  # of one launch: every operand once
    operations: int  # of one launch: additions, multiplications, divisions, comparisons and exponentials
    rate: float = FLOAT

    def seconds(self):
        return self.launches * max(self.bytes / MEMORY, self.operations / self.rate)

    def bound(self):
        if self.bytes / MEMORY >= self.operations / self.rate:
            return "memory"
        return {TENSOR: "tensor cores", FLOAT: "float32 units", SHARED: "shared memory"}[self.rate]


def linear(step, launches, rows, inputs, outputs):
    return Kernel(step, "cuBLAS", launches, BF16 * (rows * inputs + inputs * outputs + rows * outputs),
                  2 * rows * inputs * outputs, TENSOR)


def rope(step, rows, heads):
    elements = rows * heads * HEAD_DIM
    return Kernel(step, "rotate_pairs<bf16>", LAYERS, BF16 * (2 * elements + rows * HEAD_DIM), 3 * elements)


def attention(rows):
    """Causal: query i sees i + 1 keys. A pair costs a product of head_dim terms, the scaling, the comparison, the
    subtraction, the exponential, the sum, and head_dim terms of the output."""
    queries, keys = BF16 * rows * HEADS * HEAD_DIM, 2 * BF16 * CONTEXT * KV_HEADS * HEAD_DIM
    a_pair = 4 * HEAD_DIM + 5
    if rows > 1:
        pairs = HEADS * rows * (rows + 1) // 2
        return [Kernel("attention", "attend_tiles<bf16, 32>", LAYERS, 2 * queries + keys, pairs * a_pair, SHARED)]
    splits = CONTEXT // SPLIT
    partials = F32 * HEADS * splits * (2 + HEAD_DIM)
    return [Kernel("attention", "attend_split<bf16>", LAYERS, queries + keys + partials, HEADS * CONTEXT * a_pair),
            Kernel("attention", "combine_splits<bf16>", LAYERS, partials + queries,
                   HEADS * HEAD_DIM * splits * 7)]


def forward(rows):
    """The kernels of a forward call on `rows` new positions, the last of which has CONTEXT keys, its own included."""
    residual, kv = rows * DIM, rows * KV_HEADS * HEAD_DIM
    kernels = [
        Kernel("embedding", "gather<bf16>", 1, I64 * rows + BF16 * 2 * residual, 0),
        Kernel("norms", "rms_norm_rows<bf16>", 2 * LAYERS + 1, BF16 * (2 * residual + DIM), 4 * residual),
        linear("q_proj, o_proj", 2 * LAYERS, rows, DIM, HEADS * HEAD_DIM),
        linear("k_proj, v_proj", 2 * LAYERS, rows, DIM, KV_HEADS * HEAD_DIM),
        rope("RoPE of q", rows, HEADS),
        rope("RoPE of k", rows, KV_HEADS),
        Kernel("KV cache", "append_elements<bf16>", 2 * LAYERS, BF16 * 2 * kv, 0),
        *attention(rows),
        Kernel("residual sums", "add_elements<bf16>", 2 * LAYERS, BF16 * 3 * residual, residual),
        linear("gate_proj, up_proj", 2 * LAYERS, rows, DIM, FFN),
        Kernel("SwiGLU", "swiglu_elements<bf16>", LAYERS, BF16 * 3 * rows * FFN, 5 * rows * FFN),
        linear("down_proj", LAYERS, rows, FFN, DIM),
        linear("output_head", 1, rows, DIM, VOCAB),
    ]
    if rows == 1:
        kernels.append(Kernel("greedy token", "argmax_last<bf16>", 1, BF16 * VOCAB + I64, VOCAB))
    return kernels


def short(number):
    """Four digits, or the whole number if it has more."""
    return f"{number:.0f}" if number >= 1000 else f"{number:.4g}"


def table(title, kernels):
    total = sum(kernel.seconds() for kernel in kernels)
    lines = [f"**{title}**", "", "| step | kernel | launches | GB | Gop | op/byte | bound by | ms | share |",
             "|---|---|---:|---:|---:|---:|---|---:|---:|"]

    def row(step, name, launches, size, operations, bound, seconds):
        return (f"| {step} | {name} | {launches} | {short(size / 1e9)} | {short(operations / 1e9)} "
                f"| {short(operations / size)} | {bound} | {short(1e3 * seconds)} | {100 * seconds / total:.1f} % |")

    for kernel in kernels:
        name = kernel.name if kernel.name == "cuBLAS" else f"`{kernel.name}`"
        lines.append(row(kernel.step, name, kernel.launches, kernel.launches * kernel.bytes,
                         kernel.launches * kernel.operations, kernel.bound(), kernel.seconds()))
    lines.append(row("all", "", sum(kernel.launches for kernel in kernels),
                     sum(kernel.launches * kernel.bytes for kernel in kernels),
                     sum(kernel.launches * kernel.operations for kernel in kernels), "", total))
    return "\n".join(lines)


def report():
    return (table(f"Prefill: 1 x {CONTEXT} tokens, logits of every position", forward(CONTEXT)) + "\n\n"
            + table(f"Decode: one token, {CONTEXT} keys with its own", forward(1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--check", type=Path, metavar="FILE")
    options = parser.parse_args()
    file = options.write or options.check
    if not file:
        print(report())
        return 0
    text = file.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[-1]
    wanted = f"{before}{BEGIN}\n{report()}\n{END}{after}"
    if options.write:
        file.write_text(wanted)
    elif text != wanted:
        print(f"roofline: the tables of {file} are not what scripts/roofline.py prints; "
              f"scripts/roofline.py --write {file}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
