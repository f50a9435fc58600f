"""Programs as backends, in Python: the loop, and the model of transformers that a case is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT, environment

from forgecheck.program import run_program

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

SIZES = "dim=32,n_layers=2,n_heads=4,n_kv_heads=2,vocab_size=61,ffn_hidden_dim=48,max_seq_len=64"
LLAMA3 = "rope_scaling=llama3,rope_factor=8.0,rope_original_max_seq_len=32"


def verify(folder, worker):
    report = folder / "report.json"
    run_program("verify", "--golden", str(folder), "--backend", f"exec:{worker}", "--json", str(report))
    results = json.loads(report.read_text())["results"]
    return {result["file"].removesuffix(".safetensors"): result for result in results
            if result["candidate"] != "golden"}  # fmt: skip


def record(folder, cases):
    (folder / "cases.txt").write_text("".join(f"{name} {case}\n" for name, case in cases.items()))
    run_program("golden", "record", "--cases", str(folder / "cases.txt"))


@pytest.fixture
def transformers_worker(monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    return f"{sys.executable} {ROOT}/scripts/transformers_worker.py"


@pytest.mark.parametrize("dtype", ["", "/bfloat16"])
def test_transformers_computes_each_family_as_the_reference_does(tmp_path, transformers_worker, dtype):
    cases = {
        "llama": f"dense[{SIZES}]", "tied": f"dense[{SIZES},tie_embeddings=true]",
        "llama31": f"dense[{SIZES},{LLAMA3}]", "linear": f"dense[{SIZES},rope_scaling=linear,rope_factor=4.0]",
        "qwen2": f"dense[{SIZES},qkv_bias=true]", "qwen2_window": f"dense[{SIZES},qkv_bias=true,sliding_window=4]",
        "qwen3": f"dense[{SIZES},qk_norm=true,head_dim=12]", "mistral": f"dense[{SIZES},sliding_window=5]",
        "mixtral": f"moe[{SIZES},num_experts=4,moe_ffn_hidden_dim=24]",
    }  # fmt: skip
    run = "/batch=2,text_len=12/seed=7" + dtype
    lines = {name: case + run for name, case in cases.items()}
    lines |= {f"{name}_decode": cases[name] + run + "/decode=5+1+1+5" for name in ("llama31", "qwen2_window", "qwen3")}
    record(tmp_path, lines)
    results = verify(tmp_path, transformers_worker)
    assert {name: result["verdict"] for name, result in results.items()} == dict.fromkeys(lines, "match"), results


def test_what_transformers_has_not_is_refused_with_the_reason(tmp_path, transformers_worker):
    record(tmp_path, {
        "norm": f"dense[{SIZES},norm_type=layernorm]/batch=1,text_len=4/seed=1",
        "both": f"dense[{SIZES},qk_norm=true,qkv_bias=true]/batch=1,text_len=4/seed=1",
        "train": f"dense[{SIZES}]/batch=1,text_len=4/seed=1/train",
    })  # fmt: skip
    results = verify(tmp_path, transformers_worker)
    assert {name: result["verdict"] for name, result in results.items()} == dict.fromkeys(results, "rejected")
    assert "model.norm_type = layernorm" in results["norm"]["message"]
    assert "Qwen3 and Qwen2 at once" in results["both"]["message"]
    assert "in eval mode" in results["train"]["message"]


def test_what_a_worker_prints_and_raises_is_no_answer(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(
        "import os\n"
        "from forgecheck.worker import Refused, serve\n"
        "def run(case):\n"
        '    print(\'{"id": 1, "ok": true}\', flush=True)\n'
        "    os.system('echo printed by another program')\n"
        "    raise (Refused('not mine', 'ConfigError') if REFUSES else ValueError('two\\nlines'))\n"
        "REFUSES = False\n"
        "serve(run)\n"
    )
    requests = "".join(json.dumps({"id": i, "case": "c", "out": "o", "taps": ["*"]}) + "\n" for i in (1, 2))

    def answers():
        done = subprocess.run([sys.executable, script], input=requests, capture_output=True, text=True, check=True,
                              env=environment())  # fmt: skip
        for printed in ('{"id": 1, "ok": true}', "printed by another program"):
            assert done.stderr.count(printed) == 2
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert answers() == [{"id": i, "ok": False, "kind": "Failure", "message": "ValueError: two"} for i in (1, 2)]
    script.write_text(script.read_text().replace("REFUSES = False", "REFUSES = True"))
    assert answers() == [{"id": i, "ok": False, "kind": "ConfigError", "message": "not mine"} for i in (1, 2)]


def test_a_worker_times_runs_where_it_is_asked_to(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(
        "import torch\n"
        "from forgecheck.worker import serve\n"
        "serve(lambda case: {'logits': torch.ones(2)}, lambda case, repeat: [0.5 * (i + 1) for i in range(repeat)])\n"
    )
    asked = {"case": "c", "out": str(tmp_path / "out.safetensors"), "taps": ["*"]}
    requests = "".join(json.dumps(asked | more) + "\n" for more in ({"id": 1, "repeat": 3}, {"id": 2}))

    def answers():
        done = subprocess.run([sys.executable, script], input=requests, capture_output=True, text=True, check=True,
                              env=environment())  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert answers() == [{"id": 1, "ok": True, "seconds": [0.5, 1.0, 1.5]}, {"id": 2, "ok": True}]
    # Without such a function a request to repeat is one for a trace.
    script.write_text(script.read_text().replace(", lambda case, repeat: [0.5 * (i + 1) for i in range(repeat)]", ""))
    (tmp_path / "out.safetensors").unlink()
    assert answers() == [{"id": 1, "ok": True}, {"id": 2, "ok": True}]
    assert (tmp_path / "out.safetensors").is_file()


@pytest.mark.skipif(not os.environ.get("KEMPNERFORGE"), reason="KEMPNERFORGE names no copy of it")
def test_kempnerforge_times_forward_decode_and_generate(tmp_path):
    worker = f"exec:PYTHONPATH={os.environ['KEMPNERFORGE']}:{ROOT}/harness/python {sys.executable} " \
             f"{ROOT}/scripts/kempnerforge_worker.py"  # fmt: skip
    report = tmp_path / "bench.json"
    cases = [f"dense[{SIZES}]/text_len=6{run}" for run in ("", "/decode=5+1", "/generate=2", "/loss=cross_entropy")]
    run_program("bench", *cases, "--backend", worker, "--rounds", "1", "--runs", "2", "--no-judging",
                "--json", str(report))  # fmt: skip
    rows = [case["backends"][0] for case in json.loads(report.read_text())["cases"]]
    assert [row.get("runs") for row in rows] == [2, 2, 2, None]
    assert "run = loss is not timed" in rows[3]["refusal"]
