"""`glassmill quantize`: the folder that it writes, what opens it, what is refused, and what its table says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from glassmill import native
from glassmill.cli import app
from glassmill.errors import UserError
from glassmill.evals.drift import drift
from glassmill.export.gguf_file import export_gguf
from glassmill.export.gguf_reader import GgufFile
from glassmill.export.importing import import_weights
from glassmill.export.quantizing import TARGETS, measure, quantize_folder
from glassmill.infer.decoder import whole_logits
from glassmill.infer.folder import load_folder, save_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.infer.weights import block_formats
from glassmill.model.blocks import FORMATS, dequantize, quantize
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer
from tests.tokens.builders import small_tokenizer

SHAPE = {"vocab_size": 512, "d_model": 256, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "head_dim": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model some of whose matrices have rows of 96 or 128, no whole blocks of 256."""
    torch.manual_seed(5)
    model = Transformer(ModelConfig(**SHAPE, d_ff=96, context_length=128, qk_norm=False))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.12)
    path = tmp_path_factory.mktemp("original") / "model"
    save_folder(path, model, small_tokenizer(), {"run": "a run"})
    return path


@pytest.fixture(scope="module", params=TARGETS)
def quantized(request: pytest.FixtureRequest, folder: Path) -> tuple[str, Path]:
    return request.param, quantize_folder(folder, folder.parent / request.param, request.param)


def test_every_matrix_has_its_format_and_the_numbers_of_its_blocks(folder: Path, quantized: tuple[str, Path]):
    to, path = quantized
    before, after, formats = load_folder(folder), load_folder(path), block_formats(path)
    for name, tensor in before.model.state_dict().items():
        found = after.model.state_dict()[name]
        if tensor.ndim == 1:
            assert name not in formats and torch.equal(found, tensor)
            continue
        wanted = "q8_0" if name == "model.embed_tokens.weight" else to
        form = FORMATS["q4_1" if wanted == "q4_k" and tensor.shape[1] % 256 else wanted]
        assert formats[name] == form
        assert np.array_equal(found.numpy(), dequantize(quantize(tensor.numpy(), form), form))
    assert after.config == before.config
    assert (path / "model.safetensors").stat().st_size < 0.36 * (folder / "model.safetensors").stat().st_size
    assert after.meta["run"] == "a run" and after.meta["blocks"] == to


@pytest.mark.skipif(not native.available(), reason="compares with the core")
def test_the_native_decoder_keeps_the_blocks_and_says_what_torch_says(quantized: tuple[str, Path]):
    from glassmill.infer.native_decoder import NativeDecoder

    ids = np.random.default_rng(1).integers(0, 400, 60).tolist()
    expected = whole_logits(TorchDecoder(load_folder(quantized[1]).model), ids)
    found = whole_logits(NativeDecoder(quantized[1], weights="float32"), ids)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()  # activations are rounded to 8 bits
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.9


def test_a_quantised_folder_can_be_exported(quantized: tuple[str, Path], tmp_path: Path):
    to, path = quantized
    file = GgufFile(export_gguf(path, tmp_path / "x.gguf", to))
    kinds = {info.kind.name for info in file.tensors.values()}
    assert kinds == {"F32", "Q8_0"} | ({to.upper()} if to != "q4_k" else {"Q4_K", "Q4_1"})
    back = load_folder(import_weights(tmp_path / "x.gguf", tmp_path / "back", "float32")).model.state_dict()
    for name, tensor in load_folder(path).model.state_dict().items():
        assert torch.equal(back[name], tensor), name  # the blocks of the folder, not rounded a second time


def test_an_import_may_keep_the_blocks_of_a_file(quantized: tuple[str, Path], tmp_path: Path):
    export_gguf(quantized[1], tmp_path / "x.gguf", quantized[0])
    back = import_weights(tmp_path / "x.gguf", tmp_path / "back", "blocks")
    before, after = (load_file(folder / "model.safetensors") for folder in (quantized[1], back))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert block_formats(back) == block_formats(quantized[1])
    assert load_folder(back).config == load_folder(quantized[1]).config
    assert import_weights(tmp_path / "x.gguf", tmp_path / "back", "blocks") == back


def test_numbers_have_no_blocks_to_keep(folder: Path, tmp_path: Path):
    for source in (folder, export_gguf(folder, tmp_path / "x.gguf", "bf16")):
        with pytest.raises(UserError, match="has no blocks to keep"):
            import_weights(source, tmp_path / "back", "blocks")
    assert not (tmp_path / "back").exists()


def test_a_flipped_bit_is_found(quantized: tuple[str, Path], tmp_path: Path):
    copy = shutil.copytree(quantized[1], tmp_path / "copy")
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-100] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors has other bytes than were written"):
        load_folder(copy)


def changed(source: Path, place: Path, formats: dict[str, str], weights: dict[str, torch.Tensor]) -> Path:
    """A copy with other formats or tensors, and no checksums."""
    shutil.copytree(source, place)
    config: dict[str, Any] = json.loads((place / "config.json").read_text())
    config["quantization_config"]["tensors"] |= formats
    (place / "config.json").write_text(json.dumps(config))
    (place / "glassmill.json").write_text('{"integrity": null}')
    save_file({**load_file(place / "model.safetensors"), **weights}, place / "model.safetensors")
    return place


Q = "model.layers.0.self_attn.q_proj.weight"
NORM = "model.norm.weight"
WRONG: dict[str, tuple[dict[str, str], dict[str, torch.Tensor], str]] = {
    "an unknown format": ({Q: "q9_z"}, {}, "quantization_config.tensors must name one of q4_0"),
    "another format": ({Q: "q5_0"}, {}, "no rows of whole q5_0 blocks"),
    "a format for numbers": ({NORM: "q8_0"}, {}, "has type F32, no bytes"),
    "a format for nothing": ({"x": "q8_0"}, {}, "quantization_config names x, which is not there"),
    "bytes without a format": ({}, {"extra": torch.zeros(3, 34, dtype=torch.uint8)}, "has bytes without a format"),
    "too few rows": ({}, {Q: torch.zeros(8, 136, dtype=torch.uint8)}, "instead of"),
    "blocks in a flat row": ({}, {Q: torch.zeros(34, dtype=torch.uint8)}, "no rows of whole"),
}


@pytest.mark.parametrize("name", WRONG)
def test_folders_whose_blocks_do_not_fit_are_refused(folder: Path, tmp_path: Path, name: str):
    formats, weights, words = WRONG[name]
    source = quantize_folder(folder, tmp_path / "good", "q8_0")
    with pytest.raises(UserError, match="model.safetensors|config.json") as caught:
        load_folder(changed(source, tmp_path / "copy", formats, weights))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_scales_that_are_not_finite_are_refused(folder: Path, tmp_path: Path):
    source = quantize_folder(folder, tmp_path / "good", "q8_0")
    bad = load_file(source / "model.safetensors")[Q].clone()
    bad[3, :2] = torch.tensor([0, 0x7C], dtype=torch.uint8)
    with pytest.raises(UserError, match="q_proj.weight has .* numbers that are NaN or infinite"):
        load_folder(changed(source, tmp_path / "copy", {}, {Q: bad}))


def test_what_cannot_be_quantised_is_refused(folder: Path, quantized: tuple[str, Path], tmp_path: Path):
    with pytest.raises(UserError, match="unknown format 'q3_k'; use one of q8_0, q4_0, q4_k"):
        quantize_folder(folder, tmp_path / "x", "q3_k")
    with pytest.raises(UserError, match=r"is in blocks already .*quantise the model it was made from"):
        quantize_folder(quantized[1], tmp_path / "x", "q8_0")
    with pytest.raises(UserError, match=r"exists; choose another folder"):
        quantize_folder(folder, quantized[1], "q8_0")
    (tmp_path / "short.txt").write_text("a few words")
    with pytest.raises(UserError, match="give a text of more than 64"):
        measure(folder, quantized[1], tmp_path / "short.txt", 100)
    assert not (tmp_path / "x").exists()


def test_fewer_bits_drift_further_and_none_not_at_all(folder: Path):
    ids = np.random.default_rng(2).integers(0, 400, 129)
    decoder = TorchDecoder(load_folder(folder).model, max_rows=2)
    same = drift(decoder, decoder, ids, 64)
    assert same.kl == 0 and same.same_best == 1 and same.num_tokens == 128
    assert same.perplexity == same.perplexity_before
    losses = decoder.token_losses(ids[:65][None])
    assert np.isclose(np.log(drift(decoder, decoder, ids[:65], 64).perplexity), losses.mean(), rtol=1e-5)
    found = {to: measure(folder, folder.parent / to, None, 200, lambda line: None).kl for to in TARGETS}
    assert 0 < found["q8_0"] < 0.05 * found["q4_0"]
    assert found["q4_k"] < found["q4_0"]


def test_the_command_prints_the_table(folder: Path, tmp_path: Path):
    words = ["quantize", str(folder), "--to", "q8_0", "--out", str(tmp_path / "small"), "--tokens", "100"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "KL, nats a token" in done.output and "matrices: 15 q8_0" in done.output
    assert "comparing with the original on 100 tokens of held_out.txt" in done.output
    done = CliRunner().invoke(app, [*words[:-3], str(tmp_path / "other"), "--text", str(tmp_path / "missing.txt")])
    assert isinstance(done.exception, UserError) and not (tmp_path / "other").exists()
