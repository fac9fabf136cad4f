"""The native decoder says what the torch decoder says, in every shape and format, and reads folders as carefully."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from glassmill.errors import UserError
from glassmill.infer.choose import chosen_decoder
from glassmill.infer.decoder import Piece, whole_logits
from glassmill.infer.folder import load_folder
from glassmill.infer.generate import Model
from glassmill.infer.native_decoder import NativeDecoder, WeightFormat, rotary_frequencies
from glassmill.infer.sampling import Floats
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.config import ModelConfig
from glassmill.model.rope import rope_angles
from glassmill.model.scaling import RopeScaling
from glassmill.model.transformer import Transformer
from glassmill.native import _core

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ModelConfig(101, 64, 2, 4, 2, 16, 96, 700, qk_norm=False)
LLAMA3 = RopeScaling("llama3", 8.0, 64, 1.0, 4.0)
YARN = RopeScaling("yarn", 4.0, 64, beta_fast=32.0, beta_slow=1.0, attention_factor=1.14)
SHAPES = {
    "llama": replace(PLAIN, rope_scaling=LLAMA3, tie_embeddings=False),
    "qwen2": replace(PLAIN, qkv_bias=True, rope_scaling=YARN),
    "qwen3": replace(PLAIN, qk_norm=True, rope_scaling=RopeScaling("linear", 2.0), head_dim=24),
    "odd": replace(PLAIN, d_model=61, d_ff=77, num_heads=3, num_kv_heads=1, head_dim=6),
}
NEAR = 0.05
"""Two bfloat16 decoders may choose differently where the best logits lie closer than this share of their spread."""


def write(path: Path, config: ModelConfig, dtype: torch.dtype = torch.float32) -> Path:
    generator, weights = torch.Generator().manual_seed(0), {}
    for name, weight in Transformer(config).state_dict().items():
        noise = torch.randn(weight.shape, generator=generator) * (0.15 if weight.ndim == 2 else 0.1)
        weights[name] = (noise + float("norm" in name)).to(dtype)
    path.mkdir(parents=True, exist_ok=True)
    save_file(weights, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config.to_hf()))
    return path


def model_of(folder: Path, dtype: torch.dtype = torch.float32) -> Transformer:
    model = Transformer(ModelConfig.from_hf(json.loads((folder / "config.json").read_text())))
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    return model.to(dtype).eval()


def ids(count: int, seed: int = 0) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(0, 101, count)]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_and_rotation_is_computed_as_torch_does(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, SHAPES[name])
    expected = whole_logits(TorchDecoder(model_of(folder)), ids(600))
    assert np.allclose(whole_logits(NativeDecoder(folder), ids(600)), expected, atol=5e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_in_bfloat16_it_is_as_near_to_float32_as_torch_is(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, SHAPES[name], torch.bfloat16)
    exact = whole_logits(TorchDecoder(model_of(folder)), ids(200))
    ours = whole_logits(NativeDecoder(folder, weights="bfloat16"), ids(200))
    torchs = whole_logits(TorchDecoder(model_of(folder, torch.bfloat16)), ids(200))
    assert np.abs(ours - exact).mean() < np.abs(torchs - exact).mean()
    best, other = np.sort(exact, axis=-1)[:, -1], np.sort(exact, axis=-1)[:, -2]
    clear = best - other > NEAR * exact.std()
    assert clear.mean() > 0.5
    assert (ours.argmax(-1) == exact.argmax(-1))[clear].all()


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_a_row_has_the_same_bits_alone_in_a_batch_and_read_in_pieces(tmp_path: Path, weights: WeightFormat) -> None:
    decoder = NativeDecoder(write(tmp_path, SHAPES["llama"]), 40, weights)
    texts = [ids(30 + 13 * row, row) for row in range(12)]
    alone = [whole_logits(decoder, text)[-1] for text in texts]
    rows = [decoder.open_row() for _ in texts]
    together = decoder.forward([Piece(row, text) for row, text in zip(rows, texts, strict=True)])
    assert all((answer.logits_WV[0] == one).all() for answer, one in zip(together, alone, strict=True))
    for row in rows:
        decoder.truncate(row, 5)
    rest = decoder.forward([Piece(row, text[5:]) for row, text in zip(rows, texts, strict=True)])
    assert all((answer.logits_WV[0] == one).all() for answer, one in zip(rest, alone, strict=True))


def test_rows_share_the_pages_of_their_beginning_until_they_part(tmp_path: Path) -> None:
    decoder = NativeDecoder(write(tmp_path, SHAPES["llama"]), 40)
    row = decoder.open_row()
    decoder.forward([Piece(row, ids(640), want=0)])
    page, before = 64 * decoder.info.token_bytes, decoder.cache_bytes
    forks = [decoder.fork(row, 640) for _ in range(10)] + [decoder.fork(row, 630) for _ in range(10)]
    assert decoder.cache_bytes == before == 10 * page
    decoder.forward([Piece(fork, [1], want=0) for fork in forks])
    assert decoder.cache_bytes == before + 20 * page
    for fork in forks:
        decoder.close_row(fork)
    assert decoder.cache_bytes <= 2 * before + page  # what is kept for the next rows


def test_a_token_that_the_model_does_not_have_leaves_every_row_as_it_was(tmp_path: Path) -> None:
    decoder = NativeDecoder(write(tmp_path, SHAPES["llama"]), 3)
    row, other = decoder.open_row(), decoder.open_row()
    for wrong in (101, -1, 1 << 40):
        with pytest.raises(IndexError, match="out of range"):
            decoder.forward([Piece(other, [5]), Piece(row, [6, wrong])])
    assert (decoder.length(row), decoder.length(other)) == (0, 0)


@pytest.mark.parametrize("scaling", [None, LLAMA3, YARN, replace(YARN, truncate=False), RopeScaling("linear", 3.0)])
def test_frequencies_are_those_of_the_model(scaling: RopeScaling | None) -> None:
    config = replace(PLAIN, head_dim=64, rope_theta=500_000.0, rope_scaling=scaling)
    angles = rope_angles(torch.arange(2), 64, config.rope_theta, scaling)[1].numpy()
    assert np.allclose(rotary_frequencies(config), angles, rtol=1e-6)


def test_weights_that_are_not_finite_are_refused_by_name_and_number(tmp_path: Path) -> None:
    folder = write(tmp_path, SHAPES["llama"])
    for name in ("model.layers.1.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight"):
        weights = load_file(write(tmp_path, SHAPES["llama"]) / "model.safetensors")
        weights[name].view(-1)[[3, 7]] = float("nan")
        save_file(weights, folder / "model.safetensors")
        with pytest.raises(UserError, match=f"{name} has 2 numbers that are NaN or infinite"):
            NativeDecoder(folder)


def test_a_head_beside_tied_embeddings_counts_if_it_differs(tmp_path: Path) -> None:
    config = SHAPES["qwen2"]
    weights = load_file(write(tmp_path, config) / "model.safetensors")
    expected = whole_logits(NativeDecoder(tmp_path), ids(20))
    save_file(
        {**weights, "lm_head.weight": weights["model.embed_tokens.weight"].clone()}, tmp_path / "model.safetensors"
    )
    assert (whole_logits(NativeDecoder(tmp_path), ids(20)) == expected).all()
    save_file({**weights, "lm_head.weight": -weights["model.embed_tokens.weight"]}, tmp_path / "model.safetensors")
    assert np.allclose(whole_logits(NativeDecoder(tmp_path), ids(20)), -expected, atol=1e-5)


def test_the_decoder_is_chosen_by_name_by_the_environment_or_by_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLASSMILL_DECODER", raising=False)
    assert (chosen_decoder(), chosen_decoder("torch"), chosen_decoder(device="mps")) == ("native", "torch", "torch")
    assert chosen_decoder(dtype="float16") == "torch"
    monkeypatch.setenv("GLASSMILL_DECODER", "torch")
    assert (chosen_decoder(), chosen_decoder("native")) == ("torch", "native")
    monkeypatch.setenv("GLASSMILL_DECODER", "gpu")
    with pytest.raises(UserError, match="GLASSMILL_DECODER = gpu: there is `native`"):
        chosen_decoder()
    with pytest.raises(UserError, match="decoder = native computes on a CPU"):
        chosen_decoder("native", "cuda")


WITHOUT_TORCH = """
import sys
from glassmill.infer.generate import Model
model = Model.load(sys.argv[1])
print(model.complete([1, 2, 3], max_tokens=8, temperature=0.0, ignore_eos=True).num_completion_tokens)
model.close()
assert "torch" not in sys.modules
"""


def test_a_model_is_loaded_and_used_without_torch(folder_with_tokenizer: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "GLASSMILL_DECODER"}
    command = [sys.executable, "-c", WITHOUT_TORCH, str(folder_with_tokenizer)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


def test_a_loaded_model_answers_as_torch_does(folder_with_tokenizer: Path) -> None:
    prompts = [ids(12, seed) for seed in range(6)]
    limit = load_folder(folder_with_tokenizer).config.vocab_size
    texts = []
    for decoder in ("native", "torch"):
        model = Model.load(folder_with_tokenizer, decoder=decoder)
        texts.append(
            [model.complete([i % limit for i in prompt], max_tokens=20, temperature=0.0).text for prompt in prompts]
        )
        model.close()
    assert texts[0] == texts[1]


LOGITS = """
import sys
import numpy as np
from pathlib import Path
from glassmill.infer.decoder import whole_logits
from glassmill.infer.native_decoder import NativeDecoder
for weights in ("float32", "bfloat16"):
    decoder = NativeDecoder(Path(sys.argv[1]), 1, weights)
    np.save(f"{sys.argv[2]}/{weights}.npy", whole_logits(decoder, list(range(100)) * 2))
"""


def test_every_instruction_set_computes_the_same_model(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", SHAPES["qwen3"])

    def logits(instruction_set: str) -> list[Floats]:
        command = [sys.executable, "-c", LOGITS, str(folder), str(tmp_path)]
        subprocess.run(command, env={**os.environ, "GLASSMILL_ISA": instruction_set}, cwd=ROOT, check=True)
        return [np.load(tmp_path / f"{weights}.npy") for weights in ("float32", "bfloat16")]

    plain = logits("scalar")
    for instruction_set in _core.INSTRUCTION_SETS[1:]:
        wide, narrow = logits(instruction_set)
        assert np.abs(wide - plain[0]).max() < 1e-3
        # In bfloat16 a last bit before a rounding may become a last bit of bfloat16 after it.
        assert np.abs(narrow - plain[1]).max() < 0.05 * plain[1].std()
