"""The recorder in plain numpy that was written from docs/traces.md alone, and what the page says of itself."""

from __future__ import annotations

import re
import subprocess
import sys

import forgecheck
import pytest
from conftest import ROOT
from forgecheck.parameters import kind_of
from forgecheck.seeding import seeded_key, seeded_parameter, splitmix64

numpy = pytest.importorskip("numpy")
PAGE = (ROOT / "docs/traces.md").read_text()


def recorded(folder, *arguments):
    path = folder / "traces/llama.safetensors"
    script = ROOT / "examples/numpy_recorder.py"
    subprocess.run([sys.executable, "-B", str(script), str(path), *arguments], check=True)
    return forgecheck.verify(path)


def test_its_trace_matches_with_every_tap(tmp_path):
    report = recorded(tmp_path)
    assert report.verdict == "match", report
    names = {tap.name for tap in report.taps}
    assert len(names) == 31 and {"layers.1.attention.k_norm", "layers.1.mlp.hidden", "logits"} <= names


@pytest.mark.parametrize(
    ("mistake", "tap", "hint"),
    [
        ("scale", "layers.0.attention.context", "not divided by sqrt(head_dim)"),
        ("rope", "layers.0.attention.context", "rope is interleaved"),
        ("norm", "layers.0.attention.q_norm", "norm comes after rope"),
    ],
)
def test_each_of_its_mistakes_is_told(tmp_path, mistake, tap, hint):
    report = recorded(tmp_path, "--mistake", mistake)
    assert report.first_divergence.tap == tap and hint in report.hint


def test_it_uses_no_library_but_numpy():
    text = (ROOT / "examples/numpy_recorder.py").read_text()
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported == {"__future__", "argparse", "json", "pathlib", "numpy"}


def test_the_values_by_which_the_page_lets_a_reader_check_are_right():
    zero = int(splitmix64(numpy.array([0], numpy.uint64))[0])
    key, values = seeded_key("norm.weight", 0), seeded_parameter("norm.weight", (33,), 0)
    shown = ", ".join(f"{value:.9g}" for value in values[:3].astype(float))
    assert f"splitmix64(0) = `0x{zero:X}`" in PAGE and f"`0x{key:016X}` and begins with {shown}" in PAGE


def test_every_parameter_that_the_page_names_is_one():
    (table,) = re.findall(r"\| name \| shape \| kind \|\n(.*?)\n\n", PAGE, re.DOTALL)
    names = [
        name
        for name in re.findall(r"`([\w.{}]+\.weight|[\w.{}]+_w)`", table)
        if name.startswith(("layers", "norm", "t", "o"))
    ]
    assert len(names) == 12
    for name in names:
        plain = name.format(i=1, e=0)
        rank = 3 if plain.endswith("_w") else 1 if "norm" in plain else 2
        kind_of(plain, (4,) * rank)
