"""Checkpoints on disk, as transformers saves and loads them, judged by the program alone."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from families import VERSION, class_of, make, rope
from forgecheck.program import run_program
from forgecheck.recording import run
from safetensors.torch import load_file, save_file

DTYPE = "dtype" if VERSION >= 5 else "torch_dtype"
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
JUDGED = ["llama", "llama 3.1", "qwen2", "qwen3, wide", "mistral, window", "mixtral", "mixtral, narrow", "qwen3_moe"]


def save(folder, name, dtype=torch.float32, tied=False, sharded=False):
    """The folder with a checkpoint of this family."""
    model = make(name, {"tie_word_embeddings": tied}, dtype)
    model.save_pretrained(folder, max_shard_size="40KB" if sharded else "1GB")
    return folder


def record(checkpoint, name, tokens, dtype=torch.float32):
    """A trace of the loaded model, with nothing in it but the tokens and the taps."""
    model = class_of(name).from_pretrained(checkpoint, **{DTYPE: dtype}).eval()
    recording = run(model, tokens)
    path = checkpoint.parent / "trace.safetensors"
    save_file({"input.tokens": recording.inputs["tokens"], **recording.taps}, path)
    return path, set(recording.taps)


def judge(checkpoint, trace):
    """The one judgement of the report."""
    report = trace.with_name("report.json")
    run_program("judge", "--checkpoint", str(checkpoint), "--trace", str(trace), "--json", str(report))
    (result,) = json.loads(report.read_text())["results"]
    return result


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("sharded", [False, True], ids=["single", "sharded"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", JUDGED)
def test_a_saved_checkpoint_matches_what_the_loaded_model_computes(tmp_path, tokens, name, dtype, sharded, tied):
    checkpoint = save(tmp_path / "checkpoint", name, TYPES[dtype], tied, sharded)
    files = sorted(checkpoint.glob("*.safetensors"))
    assert (len(files) > 2) == (checkpoint / "model.safetensors.index.json").exists() == sharded
    assert any("lm_head.weight" in load_file(file) for file in files) != tied
    trace, taps = record(checkpoint, name, tokens, TYPES[dtype])
    result = judge(checkpoint, trace)
    assert (result["verdict"], result["dtype"]) == ("match", dtype), result
    assert {tap["name"] for tap in result["taps"]} == taps and "layers.1.attention.context" in taps


@pytest.mark.parametrize(("stored", "computed"), [("bfloat16", "float32"), ("float32", "bfloat16")])
@pytest.mark.parametrize("name", ["llama 3.1", "mixtral"])
def test_a_checkpoint_may_be_stored_in_another_type_than_the_model_runs_in(tmp_path, tokens, name, stored, computed):
    checkpoint = save(tmp_path / "checkpoint", name, TYPES[stored], sharded=True)
    result = judge(checkpoint, record(checkpoint, name, tokens, TYPES[computed])[0])
    assert (result["verdict"], result["dtype"]) == ("match", computed), result


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", JUDGED)
def test_one_other_tensor_in_one_shard_is_told_by_its_tap(tmp_path, tokens, name, dtype):
    checkpoint = save(tmp_path / "checkpoint", name, TYPES[dtype], sharded=True)
    trace, _ = record(checkpoint, name, tokens, TYPES[dtype])
    changed = "model.layers.1.self_attn.k_proj.weight"
    index = json.loads((checkpoint / "model.safetensors.index.json").read_text())
    shard = checkpoint / index["weight_map"][changed]
    tensors = load_file(shard)
    tensors[changed][3] *= 1.5
    save_file(tensors, shard, {"format": "pt"})
    assert judge(checkpoint, trace)["first_divergence"]["tap"] == "layers.1.attention.k_proj"


@pytest.mark.parametrize(
    ("name", "fields", "tap"),
    [
        ("llama", {"rms_norm_eps": 0.1}, "layers.0.attention_norm"),
        ("llama 3.1", rope(factor=2.0), "layers.0.attention.context"),
        ("llama 3.1", rope(theta=1000.0), "layers.0.attention.context"),
        ("mistral, window", {"sliding_window": 4}, "layers.0.attention.context"),
        ("mixtral", {"num_experts_per_tok": 1}, "layers.0.mlp.router.indices" if VERSION >= 5 else "layers.0.mlp"),
    ],
)
def test_a_configuration_that_is_not_the_models_is_told(tmp_path, tokens, name, fields, tap):
    checkpoint = save(tmp_path / "checkpoint", name)
    trace, _ = record(checkpoint, name, tokens)
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, **fields}))
    assert judge(checkpoint, trace)["first_divergence"]["tap"] == tap
