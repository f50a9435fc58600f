"""What cannot be recorded is refused before the run, with a message that names it and its value."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import forgecheck
import toy
from forgecheck import ForgecheckError


def refused(words, *arguments, **options):
    with pytest.raises(ForgecheckError) as error:
        forgecheck.check(*arguments, **{"case": toy.CASE, **options})
    assert words in str(error.value), str(error.value)


def test_what_is_not_a_module(tokens):
    refused("model: is function, not a torch.nn.Module", lambda x: x, tokens)


def test_a_model_that_nobody_described(tokens):
    refused('say what it computes, as in case="dense[', toy.Model(), tokens, case=None)


def test_a_case_with_an_unknown_field(tokens):
    refused("case.model.dims", toy.Model(), tokens, case="dense[dims=64]")


def test_a_case_without_a_model(tokens):
    refused('needs a section "model"', toy.Model(), tokens, case={"dim": 64})


def test_a_configuration_file_that_is_not_there(tokens, tmp_path):
    refused("No such file", toy.Model(), tokens, case=tmp_path / "config.toml")


def test_a_configuration_file_of_another_kind(tokens, tmp_path):
    refused("must end in .toml (KempnerForge) or .json", toy.Model(), tokens, case=tmp_path / "config.yaml")


def test_a_configuration_file_is_read_by_the_program(tokens, tmp_path):
    config = tmp_path / "config.toml"
    fields = toy.CASE.removeprefix("dense[").removesuffix("]").replace(",", "\n")
    config.write_text(f"[model]\n{fields}\n")
    assert forgecheck.check(forgecheck.seed(toy.Model(), 7), tokens, case=config).verdict == "match"


def test_a_parameter_without_a_name(tokens):
    model = toy.Model()
    model.layers[1].scale = torch.nn.Parameter(torch.ones(1))
    refused("parameter layers.1.scale: no model has a parameter of this name", model, tokens)


def test_a_parameter_without_a_name_under_a_name_map_is_named_as_its_owner_does(tokens):
    names = {**toy.Other.NAMES, "blocks.*.wq": "layers.*.attention.query"}
    refused("blocks.0.wq.weight of the model: parameter layers.0.attention.query.weight", toy.Other(), tokens,
            case=toy.PLAIN_CASE, names=names)  # fmt: skip


def test_a_parameter_that_is_left_out_by_its_owner_is_not_needed(tokens):
    model = forgecheck.seed(toy.Model(), 7)
    model.extra = torch.nn.Linear(2, 2)
    assert forgecheck.check(model, tokens, case=toy.CASE, names={"extra": None})


def test_seeding_changes_nothing_where_the_last_parameter_has_no_name():
    model = toy.Model()
    model.output_head.scale = torch.nn.Parameter(torch.ones(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ForgecheckError, match="parameter output_head.scale: no model has a parameter of this name"):
        forgecheck.seed(model, 7)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_head_that_the_case_ties_to_the_embedding(tokens):
    tied = toy.CASE.replace("dim=64", "dim=64,tie_embeddings=true")
    refused("tie_embeddings = true, but the head has other weights than the embedding", toy.Model(), tokens, case=tied)
    model = toy.Model()
    model.output_head.weight = model.token_embedding.weight
    assert forgecheck.check(model, tokens, case=tied)


def test_a_rule_for_nothing(tokens):
    refused('names["blocks.*.wq"]: the model has no module or parameter', toy.Model(), tokens,
            names={"blocks.*.wq": "layers.*.attention.q_proj"})  # fmt: skip


def test_a_rule_that_is_not_text(tokens):
    refused("names['norm'] = 3: names are text", toy.Model(), tokens, names={"norm": 3})


def test_a_fused_projection_of_another_width(tokens):
    wide = toy.PLAIN_CASE.replace("n_kv_heads=2", "n_kv_heads=4")
    rules = {"layers.*.attention.qkv": "layers.*.attention.{q_proj,k_proj,v_proj}"}
    refused(
        "the parts are 64 + 64 + 64 wide, the whole is 128",
        toy.Model(toy.FusedAttention),
        tokens,
        case=wide,
        names=rules,
    )


def test_two_parameters_of_one_name(tokens):
    names = {**toy.Other.NAMES, "blocks.*.wk": "layers.*.attention.q_proj"}
    refused("is the second that is named layers.0.attention.q_proj.weight", toy.Other(), tokens, names=names)


def test_a_weight_of_another_shape_than_the_case_has(tokens):
    model = forgecheck.seed(toy.Model(), 7)
    with torch.no_grad():
        model.norm.weight[0] += 1  # so that the weights are saved
    refused(
        "layers.0.mlp.gate_proj.weight has shape 96x64, expected 80x64",
        model,
        tokens,
        case=toy.CASE.replace("ffn_hidden_dim=96", "ffn_hidden_dim=80"),
    )


def test_types_that_are_mixed(tokens):
    model = toy.Model()
    model.norm.to(torch.bfloat16)
    refused("several types, float32 (token_embedding.weight) and bfloat16 (norm.weight)", model, tokens)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_types_that_the_oracle_cannot_judge(tokens, dtype):
    refused(
        f"token_embedding.weight: is {dtype}: models are judged in float32 and bfloat16", toy.Model().to(dtype), tokens
    )


def test_the_meta_device(tokens):
    refused("is on the meta device", toy.Model().to("meta"), tokens)
    with pytest.raises(ForgecheckError, match="is on the meta device"):
        forgecheck.seed(toy.Model().to("meta"), 7)


def test_a_model_without_parameters(tokens):
    refused("the model has no parameters", torch.nn.Identity(), tokens)


def test_autocast_around_the_call(tokens):
    with torch.autocast("cpu", torch.bfloat16):
        refused("autocast is on (torch.bfloat16)", toy.Model(), tokens)


def test_autocast_inside_the_model(tokens):
    class Casting(toy.Model):
        def forward(self, tokens):
            with torch.autocast("cpu", torch.bfloat16):
                return super().forward(tokens)

    refused(
        "module layers.0.attention.q_proj: returned torch.bfloat16, its weights are torch.float32", Casting(), tokens
    )


def test_dropout_in_training_mode(tokens):
    model = toy.Model()
    model.drop = torch.nn.Dropout(0.1)
    refused("module drop: drops values at random (p = 0.1) in training mode", model, tokens)
    assert forgecheck.check(model.eval(), tokens, case=toy.CASE)


def test_a_module_that_is_called_twice(tokens):
    class Twice(toy.Model):
        def forward(self, tokens):
            self.norm(self.token_embedding(tokens))
            return super().forward(tokens)

    refused("token_embedding: was computed twice", Twice(), tokens)


def test_inputs_of_unknown_name(tokens):
    refused("inputs: images is unknown", toy.Model(), {"tokens": tokens, "images": tokens})


@pytest.mark.parametrize(("name", "value", "words"), [
    ("tokens", [[0.5, 1.5]], "tokens is torch.float32: must be integers"),
    ("labels", [[True]], "labels is torch.bool: must be integers"),
    ("image_mask", [[1, 0]], "image_mask is torch.int64: must be bool"),
    ("prefix_embeds", [[[1, 2]]], "prefix_embeds is torch.int64: must be floating point"),
])  # fmt: skip
def test_inputs_of_another_type(tokens, name, value, words):
    refused(words, toy.Model(), {"tokens": tokens, name: value})


def test_inputs_that_a_plain_module_cannot_be_given(tokens):
    refused("how the model takes doc_ids is not known: give call=", toy.Model(), {"tokens": tokens, "doc_ids": tokens})


def test_tokens_beyond_the_vocabulary(tokens):
    def call(model, inputs):
        return model(inputs["tokens"].clamp(max=60))

    refused("tokens[1] = 67 is outside 0 .. 60", toy.Model(), tokens + 60, call=call)


def test_a_model_that_returns_no_logits(tokens):
    refused("the model returned str: logits are needed", toy.Model(), tokens, call=lambda model, inputs: "logits")


def test_labels_without_a_loss(tokens):
    refused("labels: the model returned no loss", toy.Model(), {"tokens": tokens, "labels": tokens},
            call=lambda model, inputs: model(inputs["tokens"]))  # fmt: skip


def test_gradients_without_labels(tokens):
    refused("gradients: are those of the loss, which needs labels", toy.Model(), tokens, gradients=True)


def test_a_cache_that_nobody_described(tokens):
    refused("chunks: how this model takes a KV cache is not known", toy.Model().eval(), tokens, chunks=[12])


@pytest.mark.parametrize("chunks", [[6, 5], [13, -1], []])
def test_chunks_that_are_not_the_row(tokens, chunks):
    refused(
        f"chunks = {chunks}: must be positive and add up to the 12 tokens", toy.Model().eval(), tokens, chunks=chunks
    )


def test_chunks_in_training_mode(tokens):
    refused("decoding runs in eval mode: call model.eval()", toy.Model(), tokens, chunks=[12])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("trace.pt", "must end in .safetensors"),
        ("model.safetensors", "not begin with"),
        ("no/trace.safetensors", "the folder"),
    ],
)
def test_a_path_that_no_trace_can_have(tokens, tmp_path, name, words):
    refused(words, toy.Model(), tokens, path=tmp_path / name)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7"])
def test_a_seed_that_is_no_64_bit_integer(seed):
    with pytest.raises(ForgecheckError, match="seed = .*: must be an integer in 0"):
        forgecheck.seed(toy.Model(), seed)


def test_a_trace_that_is_not_there(tmp_path):
    with pytest.raises(ForgecheckError, match="is not a file"):
        forgecheck.verify(tmp_path / "trace.safetensors")


def test_a_file_that_is_no_trace(tmp_path):
    (tmp_path / "trace.safetensors").write_bytes(b"\0" * 16)
    with pytest.raises(ForgecheckError):
        forgecheck.verify(tmp_path / "trace.safetensors")
