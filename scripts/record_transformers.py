#!/usr/bin/env python3
"""Records tiny checkpoints of the transformers library, whose architectures have what KempnerForge lacks.

    PYTHONPATH=harness/python FORGECHECK_PROGRAM=build/dev/forgecheck \\
        python scripts/record_transformers.py golden/checkpoints

For each family a folder hf_NAME with config.json and model.safetensors as save_pretrained writes them (random weights, in
bfloat16), and the traces of one forward call: golden.safetensors in float32, which names the configuration, and
bfloat16.safetensors; of a model with a window also decode.safetensors, with a KV cache. Needs torch and transformers.
"""

import argparse
import tempfile
from pathlib import Path

import torch
import transformers
from forgecheck.recording import run
from forgecheck.trace_file import write_trace

SIZES = {
    "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 56,
    "num_hidden_layers": 2, "vocab_size": 61, "max_position_embeddings": 64, "tie_word_embeddings": False,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
FAMILIES = {
    "llama31": ("Llama", {"rope_parameters": LLAMA3}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"head_dim": 12, "rms_norm_eps": 1e-6}),
    "mistral": ("Mistral", {"sliding_window": 5}),
    "mixtral_56": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
}


def make(kind, fields):
    """A model with random weights that bfloat16 holds: norms around 1, biases too, so that leaving one out shows."""
    torch.manual_seed(11)
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **fields})
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.5, 0.5)
            elif parameter.dim() == 1:
                parameter.uniform_(0.75, 1.25)
            elif parameter.dim() > 1:
                parameter.normal_(0.0, parameter.shape[-1] ** -0.5)
    return model.to(torch.bfloat16).eval()


def record(name, folder):
    kind, fields = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    model = make(kind, fields)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokens = torch.randint(0, SIZES["vocab_size"], (2, 13), generator=torch.Generator().manual_seed(3))

    def write(file, recording, definition=None):
        write_trace(folder / file, definition or {"case": recording.case}, recording.inputs, recording.taps,
                    "model.safetensors", recording.producer)

    # Loaded, not converted: .to() would round the frequencies of the rotary positions too.
    load = getattr(transformers, f"{kind}ForCausalLM").from_pretrained
    write("bfloat16.safetensors", run(load(folder, dtype=torch.bfloat16).eval(), tokens))
    model = load(folder, dtype=torch.float32).eval()
    write("golden.safetensors", run(model, tokens), {"config": "config.json"})
    if fields.get("sliding_window"):
        write("decode.safetensors", run(model, tokens, chunks=[4, 1, 1, 7]))


def main():
    parser = argparse.ArgumentParser(description="Records tiny checkpoints of the transformers library.")
    parser.add_argument("out", type=Path, help="folder to write to")
    options = parser.parse_args()
    for name in FAMILIES:
        with tempfile.TemporaryDirectory(dir=options.out) as scratch:
            record(name, Path(scratch) / "new")
            target = options.out / f"hf_{name}"
            target.mkdir(exist_ok=True)
            for file in (Path(scratch) / "new").iterdir():
                file.replace(target / file.name)
        print(target)


if __name__ == "__main__":
    main()
