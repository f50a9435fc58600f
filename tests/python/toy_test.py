"""Models of our own, shaped as KempnerForge's: right ones match, a wrong one is told by the module at fault."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import forgecheck
import toy

TAPS_OF_A_LAYER = {
    "attention_norm", "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.context", "attention",
    "mlp_norm", "mlp.gate_proj", "mlp.up_proj", "mlp.hidden", "mlp",
}  # fmt: skip


def names(report):
    return {tap.name for tap in report.taps}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seeded", [True, False])
def test_a_right_model_matches_in_every_type(tokens, dtype, seeded):
    torch.manual_seed(1)
    model = toy.Model()
    if seeded:
        forgecheck.seed(model, 7)
    report = forgecheck.check(model.to(dtype).eval(), tokens, case=toy.CASE)
    assert report.verdict == "match", report
    assert {f"layers.1.{tap}" for tap in TAPS_OF_A_LAYER} | {"token_embedding", "layers.1", "norm", "logits"} <= names(
        report
    )


def test_tokens_may_be_any_integers_or_lists(tokens):
    model = forgecheck.seed(toy.Model(), 7)
    for given in (tokens.int(), tokens.tolist(), tokens.numpy()):
        assert forgecheck.check(model, given, case=toy.CASE).verdict == "match"


def test_qk_norm_after_rope_is_told_by_the_attention(tokens):
    model = forgecheck.seed(toy.Model(lambda: toy.Attention(order="after")), 7)
    report = forgecheck.check(model, tokens, case=toy.CASE)
    assert report.verdict == "mismatch"
    assert report.first_divergence.tap == "layers.0.attention.q_norm"
    assert "norm comes after rope" in report.hint


def test_unscaled_attention_is_told_by_its_context(tokens):
    model = forgecheck.seed(toy.Model(lambda: toy.Attention(order=None, scale=1.0)), 7)
    report = forgecheck.check(model, tokens, case=toy.PLAIN_CASE)
    assert report.first_divergence.tap == "layers.0.attention.context"
    assert "not divided by sqrt(head_dim)" in report.hint


@pytest.mark.parametrize(("by_head", "rule"), [(False, "{q_proj,k_proj,v_proj}"), (True, "{q_proj|k_proj|v_proj}")])
def test_a_fused_projection_is_split_and_matches(tokens, by_head, rule):
    rules = {"layers.*.attention.qkv": f"layers.*.attention.{rule}"}
    model = toy.Model(lambda: toy.FusedAttention(by_head))
    forgecheck.seed(model, 7, case=toy.PLAIN_CASE, names=rules)
    report = forgecheck.check(model, tokens, case=toy.PLAIN_CASE, names=rules)
    assert report.verdict == "match", report
    assert {f"layers.1.{tap}" for tap in TAPS_OF_A_LAYER} <= names(report)


def test_a_fused_projection_split_by_the_wrong_rule_does_not_match(tokens):
    """Values and keys change places."""
    right, wrong = (
        {"layers.*.attention.qkv": f"layers.*.attention.{rule}"}
        for rule in ("{q_proj,k_proj,v_proj}", "{q_proj,v_proj,k_proj}")
    )
    model = toy.Model(toy.FusedAttention)
    forgecheck.seed(model, 7, case=toy.PLAIN_CASE, names=right)
    report = forgecheck.check(model, tokens, case=toy.PLAIN_CASE, names=wrong)
    assert report.first_divergence.tap == "layers.0.attention.context"


def test_a_model_with_other_names_matches_by_a_name_map(tokens):
    model = forgecheck.seed(toy.Other(), 7, names=toy.Other.NAMES)
    report = forgecheck.check(model, tokens, case=toy.PLAIN_CASE, names=toy.Other.NAMES)
    assert report.verdict == "match", report
    assert {f"layers.0.{tap}" for tap in TAPS_OF_A_LAYER} <= names(report)


def test_the_module_at_fault_is_named_as_its_owner_names_it(tokens):
    model = forgecheck.seed(toy.Other(), 7, names=toy.Other.NAMES)
    model.blocks[1].n2.forward = lambda x: x
    report = forgecheck.check(model, tokens, case=toy.PLAIN_CASE, names=toy.Other.NAMES)
    assert (report.first_divergence.tap, report.first_divergence.module) == ("layers.1.mlp_norm", "blocks.1.n2")
    assert "  in your model: blocks.1.n2\n" in str(report)


def test_a_wrong_input_of_a_module_is_named_as_that(tokens):
    model = forgecheck.seed(toy.Other(), 7, names=toy.Other.NAMES)
    model.blocks[0].wo.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],), prepend=True)
    report = forgecheck.check(model, tokens, case=toy.PLAIN_CASE, names=toy.Other.NAMES)
    assert report.first_divergence.module == "the input of blocks.0.wo"


def test_an_addition_in_place_does_not_change_what_was_recorded(tokens, tmp_path):
    """The block's input is the block before it plus what it adds in place: recorded before that."""
    from safetensors.torch import load_file

    model = forgecheck.seed(toy.Other(), 7, names=toy.Other.NAMES)
    kept = []
    model.blocks[1].register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0].clone()))
    path = forgecheck.record(
        model, tokens, tmp_path / "trace.safetensors", case=toy.PLAIN_CASE, names=toy.Other.NAMES
    )  # fmt: skip
    assert torch.equal(load_file(path)["expected.layers.0"], kept[0])


def test_a_model_whose_parts_are_not_named_is_judged_by_its_output(tokens):
    model = forgecheck.seed(toy.Model(), 7)

    class Opaque(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, tokens):
            return self.inner(tokens)

    report = forgecheck.check(Opaque(), tokens, case=toy.CASE, names={"inner": ""})
    assert report.verdict == "match" and "layers.0.attention.q_proj" in names(report)


def test_weights_other_than_the_seeded_are_saved_beside_the_trace(tokens, tmp_path):
    model = forgecheck.seed(toy.Model(), 7)
    path = forgecheck.record(model, tokens, tmp_path / "trace.safetensors", case=toy.CASE)
    beside = tmp_path / "model.trace.safetensors"
    assert not beside.exists()
    with torch.no_grad():
        model.norm.weight[3] += 1
    forgecheck.record(model, tokens, path, case=toy.CASE)
    assert beside.exists()
    assert forgecheck.verify(path).verdict == "match"
    forgecheck.seed(model, 7)
    forgecheck.record(model, tokens, path, case=toy.CASE)
    assert not beside.exists()


def test_a_head_that_is_the_embedding_needs_no_tied_case(tokens):
    model = toy.Model()
    model.output_head.weight = model.token_embedding.weight
    assert forgecheck.check(forgecheck.seed(model, 7), tokens, case=toy.CASE).verdict == "match"


def test_weights_of_an_earlier_seed_are_not_taken_for_the_seeded_ones(tokens):
    model = forgecheck.seed(toy.Model(), 7)
    other = forgecheck.seed(toy.Model(), 8)
    model.load_state_dict(other.state_dict())
    assert forgecheck.check(model, tokens, case=toy.CASE).verdict == "match"


def test_other_traces_in_the_folder_are_not_judged(tokens, tmp_path):
    model = forgecheck.seed(toy.Model(), 7)
    forgecheck.record(model, tokens, tmp_path / "trace2.safetensors", case=toy.CASE)
    report = forgecheck.check(model, tokens, case=toy.CASE, path=tmp_path / "trace.safetensors")
    assert len(report.json["results"]) == 1


def test_labels_give_a_loss(tokens):
    model = forgecheck.seed(toy.Model(), 7)

    def with_loss(model, inputs):
        logits = model(inputs["tokens"])
        return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), inputs["labels"].flatten())

    report = forgecheck.check(model, {"tokens": tokens, "labels": tokens}, case=toy.CASE, call=with_loss)
    assert report.verdict == "match" and "loss.cross_entropy" in names(report)


def test_gradients_are_recorded_and_not_yet_judged(tokens, tmp_path):
    from safetensors.torch import load_file

    rules = {"layers.*.attention.qkv": "layers.*.attention.{q_proj,k_proj,v_proj}"}
    model = toy.Model(toy.FusedAttention)

    def with_loss(model, inputs):
        logits = model(inputs["tokens"])
        return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), inputs["labels"].flatten())

    path = tmp_path / "trace.safetensors"
    report = forgecheck.check(
        model, {"tokens": tokens, "labels": tokens}, case=toy.PLAIN_CASE, names=rules, call=with_loss, gradients=True,
        path=path,
    )  # fmt: skip
    assert report.verdict == "unsupported" and not report
    recorded = load_file(path)
    logits, loss = with_loss(model, {"tokens": tokens, "labels": tokens})
    loss.backward()
    of_queries = model.layers[1].attention.qkv.weight.grad[: toy.DIM]
    assert torch.equal(recorded["expected.grad.layers.1.attention.q_proj.weight"], of_queries)
    assert torch.equal(recorded["expected.logits"], logits)


def test_a_configuration_and_weights_beside_a_trace_are_found(tokens, tmp_path):
    """A trace by hand: it names a config.json and weights, both beside it."""
    from forgecheck.recording import run
    from forgecheck.trace_file import write_tensors, write_trace

    recording = run(toy.Model(lambda: toy.Attention(order=None)), tokens, case=toy.PLAIN_CASE)
    fields = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
              "num_key_value_heads": 2, "vocab_size": 61, "intermediate_size": 96, "max_position_embeddings": 64,
              "rms_norm_eps": 1e-5}  # fmt: skip
    (tmp_path / "mine.json").write_text(json.dumps(fields))
    write_tensors(tmp_path / "model_of_mine.safetensors", recording.weights, {})
    path = tmp_path / "trace.safetensors"
    producer = {"backend": "hand", "version": "1"}
    write_trace(path, {"config": "mine.json"}, recording.inputs, recording.taps, "model_of_mine.safetensors", producer)
    assert forgecheck.verify(path).verdict == "match"


def test_weights_in_several_files_beside_a_trace_are_found(tokens, tmp_path):
    from forgecheck.recording import run
    from forgecheck.trace_file import write_tensors, write_trace

    recording = run(toy.Model(), tokens, case=toy.CASE)
    names = sorted(recording.weights)
    shards = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    for file, part in shards.items():
        write_tensors(tmp_path / file, {name: recording.weights[name] for name in part}, {})
    weight_map = {name: file for file, part in shards.items() for name in part}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    path = tmp_path / "trace.safetensors"
    producer = {"backend": "hand", "version": "1"}
    write_trace(
        path, {"case": recording.case}, recording.inputs, recording.taps, "model.safetensors.index.json", producer
    )
    assert forgecheck.verify(path).verdict == "match"


def test_the_repeat_command_is_for_the_file_where_it_is_kept(tokens, tmp_path):
    model = forgecheck.seed(toy.Model(lambda: toy.Attention(order=None, scale=1.0)), 7)
    assert "repeat:" not in str(forgecheck.check(model, tokens, case=toy.PLAIN_CASE))
    report = forgecheck.check(model, tokens, case=toy.PLAIN_CASE, path=tmp_path / "mine.safetensors")
    command = f"  repeat: forgecheck verify --golden {tmp_path} --filter mine --backend golden"
    assert command in str(report).splitlines() and "forgecheck-" not in str(report)
