"""GGUF files: written and read back without loss, and as transformers and the library of llama.cpp read them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from glassmill.errors import UserError
from glassmill.export.gguf_file import export_gguf
from glassmill.export.gguf_reader import READABLE, GgufFile
from glassmill.export.gguf_shape import to_gguf_rows, to_hf_rows
from glassmill.export.gguf_tokenizer import SPLITTINGS, gguf_pre, read_tokenizer
from glassmill.export.importing import import_weights
from glassmill.infer.folder import load_folder, save_folder
from glassmill.model.config import ModelConfig
from glassmill.model.scaling import RopeScaling
from glassmill.model.transformer import Transformer
from glassmill.tokens.formats import read_json, tokenizer_json
from glassmill.tokens.split import PATTERNS
from glassmill.tokens.tokenizer import Tokenizer
from tests.export.small_gguf import write_small
from tests.tokens.builders import PROSE, small_tokenizer

SHAPE: dict[str, Any] = {
    "vocab_size": 512,
    "d_model": 64,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 32,
    "d_ff": 96,
    "context_length": 128,
    "rope_theta": 50_000.0,
}
SHAPES = {
    "llama": SHAPE | {"qk_norm": False},
    "qwen2": SHAPE | {"head_dim": 16, "qk_norm": False, "qkv_bias": True},
    "qwen3": SHAPE | {"tie_embeddings": False, "head_dim": 128},
}  # 128: all that transformers reads


@pytest.fixture(scope="module", params=SHAPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights and a small vocabulary."""
    torch.manual_seed(5)
    model = Transformer(ModelConfig(**SHAPES[request.param]))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path_factory.mktemp(request.param) / "model"
    save_folder(path, model, small_tokenizer(), {})
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_folder(folder).model.state_dict()


def test_a_model_comes_back_from_f32_bit_for_bit(folder: Path, tmp_path: Path):
    export_gguf(folder, tmp_path / "model.gguf", "f32")
    back = import_weights(tmp_path / "model.gguf", tmp_path / "back", "float32")
    before, after = load_folder(folder), load_folder(back)
    assert after.config == before.config
    assert all(torch.equal(tensor, weights(back)[name]) for name, tensor in weights(folder).items())
    assert after.tokenizer.special == before.tokenizer.special
    assert after.tokenizer.chat_template == before.tokenizer.chat_template
    for text in PROSE:
        assert np.array_equal(after.tokenizer.encode(text), before.tokenizer.encode(text))


@pytest.mark.parametrize(("dtype", "error"), [("f16", 2**-11), ("bf16", 2**-8), ("q8_0", 1 / 127)])
def test_narrower_types_keep_the_weights_within_their_rounding(folder: Path, tmp_path: Path, dtype: str, error: float):
    export_gguf(folder, tmp_path / "model.gguf", dtype)
    back = weights(import_weights(tmp_path / "model.gguf", tmp_path / "back", "float32"))
    for name, tensor in weights(folder).items():
        bound = error * tensor.abs().amax(-1, keepdim=True)
        assert bool(((back[name] - tensor).abs() <= bound).all()), name


def test_transformers_reads_the_file_with_the_same_logits_and_ids(folder: Path, tmp_path: Path):
    pytest.importorskip("accelerate", reason="transformers wants it for GGUF files")
    export_gguf(folder, tmp_path / "model.gguf", "f32")
    ours = load_folder(folder)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32)
    ids = torch.randint(0, 400, (1, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        difference = (ours.model(ids) - theirs(ids).logits).abs().max()
    assert float(difference) < 1e-4
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    for text in PROSE[:3]:
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == ours.tokenizer.encode(text).tolist()


def test_the_suspicious_reader_reads_what_the_librarys_reader_reads(folder: Path, tmp_path: Path):
    ours = GgufFile(export_gguf(folder, tmp_path / "model.gguf", "q8_0"))
    theirs = gguf.GGUFReader(tmp_path / "model.gguf")
    fields = {name: field.contents() for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert ours.metadata == fields
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
        assert np.array_equal(ours.tensor(tensor.name), expected)


def test_the_same_model_gives_the_same_bytes(folder: Path, tmp_path: Path):
    first, second = (export_gguf(folder, tmp_path / name, "bf16").read_bytes() for name in ("a.gguf", "b.gguf"))
    assert first == second


@given(st.integers(1, 4), st.sampled_from([2, 4, 6]), st.integers(1, 3))
def test_reordering_rows_for_llama_cpp_is_undone(heads: int, head_dim: int, columns: int):
    weight = np.arange(heads * head_dim * columns).reshape(-1, columns)
    assert np.array_equal(to_hf_rows(to_gguf_rows(weight, heads), heads), weight)
    assert to_gguf_rows(weight, heads)[1].tolist() == weight[head_dim // 2].tolist()


def test_of_the_stretched_rotations_linear_is_written_and_the_others_are_refused(folder: Path, tmp_path: Path):
    loaded = load_folder(folder)
    for scaling in (RopeScaling("linear", 2.5), RopeScaling("llama3", 8.0, 64), RopeScaling("yarn", 8.0, 64)):
        stretched = Transformer(replace(loaded.config, rope_scaling=scaling))
        stretched.load_state_dict(loaded.model.state_dict())
        save_folder(tmp_path / "model", stretched, loaded.tokenizer, {})
        if scaling.kind == "linear":
            export_gguf(tmp_path / "model", tmp_path / "x.gguf", "f32")
            assert load_folder(import_weights(tmp_path / "x.gguf", tmp_path / "back")).config == stretched.config
        else:
            with pytest.raises(UserError, match=f"rope scaling '{scaling.kind}' cannot be written as GGUF yet"):
                export_gguf(tmp_path / "model", tmp_path / "x.gguf")


NAMED = {
    "llama3": "dbrx",
    "qwen2": "qwen2",
    "gpt2": "gpt-2",
    "smollm": "smollm",
    "o200k_base": "gpt-4o",
    "cl100k_base": "dbrx",
    "whitespace": None,
    r"\p{N}{1,2}|\s+|\S": None,
}


@pytest.mark.parametrize("pattern", NAMED)
def test_a_vocabulary_carries_the_name_of_its_split_and_no_normalizer(pattern: str):
    """Ids of llama.cpp itself under these names: equal for 1,007 of 1,007 texts each (node-llama-cpp 3.22.1)."""
    ranks = {bytes([value]): value for value in range(256)}
    full = tokenizer_json(ranks, [], PATTERNS.get(pattern, pattern), {"<|endoftext|>": 256})
    if NAMED[pattern] is None:
        with pytest.raises(UserError, match="llama3, o200k_base, gpt2, smollm, qwen2 can be exported"):
            gguf_pre(full)
    else:
        assert gguf_pre(full) == NAMED[pattern]


def test_names_depend_on_what_the_vocabulary_does_with_them():
    ranks = {bytes([value]): value for value in range(256)} | {b"\n ": 256}
    full = tokenizer_json(ranks, [(10, 32)], PATTERNS["cl100k_base"], {})
    with pytest.raises(UserError, match="llama.cpp does not know"):
        gguf_pre(full)  # at the end of a text, llama.cpp would cut the symbol in two
    full = tokenizer_json({bytes([value]): value for value in range(256)}, [], PATTERNS["llama3"], {})
    full["model"]["ignore_merges"] = True
    assert gguf_pre(full) == "llama-bpe"
    assert (
        gguf_pre({**full, "pre_tokenizer": SPLITTINGS["qwen2"].pre_tokenizer, "normalizer": {"type": "NFC"}}) == "qwen2"
    )
    with pytest.raises(UserError, match="split pattern and normalizer"):
        gguf_pre({**full, "normalizer": {"type": "NFKC"}})


def test_own_vocabularies_carry_the_name_of_their_split_pattern(folder: Path, tmp_path: Path):
    metadata = GgufFile(export_gguf(folder, tmp_path / "model.gguf")).metadata
    assert metadata["tokenizer.ggml.pre"] == "dbrx"
    assert metadata["tokenizer.ggml.add_bos_token"] is False
    assert metadata["tokenizer.ggml.tokens"][metadata["tokenizer.ggml.eos_token_id"]] == "<|endoftext|>"


def test_a_tokenizer_without_a_name_in_llama_cpp_is_not_exported(folder: Path, tmp_path: Path):
    path = tmp_path / "model"
    loaded = load_folder(folder)
    save_folder(path, loaded.model, loaded.tokenizer, {})
    full = read_json(path / "tokenizer.json")
    full["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{N}{1,2}"
    (path / "tokenizer.json").write_text(json.dumps(full), encoding="utf-8")
    (path / "glassmill.json").write_text('{"integrity": null}', encoding="utf-8")
    with pytest.raises(
        UserError, match="llama.cpp does not know this tokenizer's split .*pattern = llama3, o200k_base, gp"
    ):
        export_gguf(path, tmp_path / "x.gguf")
    with pytest.raises(UserError, match="unknown dtype 'q3_k'; use one of f32, f16, bf16, q8_0, q4_0, q4_k"):
        export_gguf(path, tmp_path / "x.gguf", "q3_k")
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize("pre", SPLITTINGS)
def test_every_known_split_pattern_comes_back_from_a_file(pre: str, tmp_path: Path):
    path = write_small(tmp_path / "x.gguf", {"tokenizer.ggml.pre": pre})
    tokenizer = read_tokenizer(GgufFile(path))
    assert tokenizer.decode(tokenizer.encode("It's 2024,\n\n  OK?")) == "It's 2024,\n\n  OK?"
    assert isinstance(tokenizer, Tokenizer)


@pytest.mark.parametrize(
    "kind", [name for name in READABLE if not name.endswith("_K")]
)  # the library writes no K types
def test_every_readable_type_is_read(kind: str, tmp_path: Path):
    quantisation = gguf.GGMLQuantizationType[kind]
    values = np.random.default_rng(1).normal(size=(8, 64)).astype(np.float32)
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_tensor("w", gguf.quants.quantize(values, quantisation), raw_dtype=quantisation)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    read = GgufFile(tmp_path / "x.gguf").tensor("w")
    assert read.dtype == np.float32 and np.abs(read - values).max() < 0.5
    assert np.array_equal(read, gguf.quants.dequantize(gguf.quants.quantize(values, quantisation), quantisation))
