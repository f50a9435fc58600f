"""Models under the wrappers of PyTorch: compiled, data-parallel, sharded."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import forgecheck
import toy
from torch import distributed
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

TOKENS = torch.arange(24).reshape(2, 12) * 7 % 61


def names(report):
    return {tap.name for tap in report.taps}


@pytest.fixture
def group(tmp_path):
    """A process group of this process alone."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_a_compiled_model_is_judged_by_what_the_graph_returns():
    model = torch.compile(forgecheck.seed(toy.Model(), 7), backend="eager")
    report = forgecheck.check(model, TOKENS, case=toy.CASE)
    assert report.verdict == "match" and names(report) == {"logits"}
    assert any("torch.compile" in note for note in report.notes) and "torch.compile" in str(report)


def test_a_mistake_in_a_compiled_model_is_seen():
    model = forgecheck.seed(toy.Model(lambda: toy.Attention(order=None, scale=1.0)), 7)
    assert forgecheck.check(torch.compile(model, backend="eager"), TOKENS, case=toy.PLAIN_CASE).verdict == "mismatch"


def test_a_model_compiled_in_place_is_judged_by_what_it_returns():
    model = forgecheck.seed(toy.Model(), 7)
    model.compile(backend="eager")
    assert names(forgecheck.check(model, TOKENS, case=toy.CASE)) == {"logits"}


def test_of_compiled_layers_the_outputs_are_recorded():
    model = forgecheck.seed(toy.Model(), 7)
    model.layers[0] = torch.compile(model.layers[0], backend="eager")
    report = forgecheck.check(model, TOKENS, case=toy.CASE)
    assert report.verdict == "match"
    assert "layers.0" in names(report) and "layers.0.mlp" not in names(report) and "layers.1.mlp" in names(report)


def test_activation_checkpointing_changes_no_name():
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    model = toy.Model()
    model.layers[1] = checkpoint_wrapper(model.layers[1])
    report = forgecheck.check(forgecheck.seed(model, 7), TOKENS, case=toy.CASE)
    assert report.verdict == "match" and {"layers.1", "layers.1.mlp"} <= names(report)


def test_data_parallel_is_taken_off(group):
    model = torch.nn.parallel.DistributedDataParallel(forgecheck.seed(toy.Model(), 7))
    report = forgecheck.check(model, TOKENS, case=toy.CASE)
    assert report.verdict == "match" and "layers.1.mlp" in names(report)


def test_fsdp_of_the_first_kind_is_refused(group):
    model = FullyShardedDataParallel(toy.Model(), device_id=torch.device("cpu"))
    with pytest.raises(forgecheck.ForgecheckError, match="FullyShardedDataParallel flattens parameters"):
        forgecheck.check(model, TOKENS, case=toy.CASE)


def test_mixed_precision_of_fully_shard_is_refused(group):
    model = toy.Model()
    fully_shard(model, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    with pytest.raises(forgecheck.ForgecheckError, match="mixed precision computes in torch.bfloat16"):
        forgecheck.check(model, TOKENS, case=toy.CASE)


def on_each_rank(rank, store, way, shared):
    """What each of two processes does; its findings go to a file of its own."""
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    mesh = distributed.device_mesh.init_device_mesh("cpu", (2,))
    model = toy.Model().eval()
    if way == "fully_shard":
        for layer in model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    else:
        plan = {f"mlp.{name}": ColwiseParallel() for name in ("gate_proj", "up_proj")} | {
            "mlp.down_proj": RowwiseParallel()
        }
        for layer in model.layers:
            parallelize_module(layer, mesh, plan)
    forgecheck.seed(model, 7)
    tokens = TOKENS + rank if way == "fully_shard" else TOKENS  # tensor parallelism has the same inputs everywhere
    report = forgecheck.check(model, tokens, case=toy.CASE)
    with torch.no_grad():
        model.norm.weight.mul_(1.5)
    other = forgecheck.check(model, TOKENS, case=toy.CASE)
    torch.save([report.verdict, sorted(names(report)), report.notes, other.verdict], f"{shared}/{rank}")
    distributed.destroy_process_group()


@pytest.mark.parametrize("way", ["fully_shard", "tensor_parallel"])
def test_a_sharded_model_is_gathered_and_every_rank_judges_its_inputs(tmp_path, way):
    torch.multiprocessing.spawn(on_each_rank, (str(tmp_path / "store"), way, str(tmp_path)), nprocs=2)
    for rank in range(2):
        verdict, taps, notes, other = torch.load(tmp_path / str(rank))
        assert (verdict, other) == ("match", "match")
        assert "layers.1.mlp" in taps and ("layers.1.mlp.gate_proj" in taps) == (way == "fully_shard")
        assert any("tensor parallelism" in note for note in notes) == (way == "tensor_parallel")
