"""GGUF files: written and read back without loss, read with suspicion, and as transformers reads them."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from glassmill.errors import UserError
from glassmill.export.gguf_file import export_gguf
from glassmill.export.gguf_reader import READABLE, GgufFile
from glassmill.export.gguf_shape import read_config, to_gguf_rows, to_hf_rows
from glassmill.export.gguf_tokenizer import SPLITTINGS, gguf_pre, read_tokenizer
from glassmill.export.importing import import_weights
from glassmill.infer.folder import load_folder, save_folder
from glassmill.model.config import ModelConfig
from glassmill.model.scaling import RopeScaling
from glassmill.model.transformer import Transformer
from glassmill.tokens.formats import read_json, tokenizer_json
from glassmill.tokens.split import PATTERNS
from glassmill.tokens.tokenizer import Tokenizer
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


# --- damaged and foreign files ----------------------------------------------------------------------------------------


SPELLINGS = [*map(chr, range(33, 127)), "Ġ", "Ċ", "ab", "<|endoftext|>"]


def write_small(path: Path, changes: dict[str, Any] | None = None, tensors: dict[str, Any] | None = None) -> Path:
    """A one-layer Llama file by the library's writer, with metadata or tensors changed; None leaves an entry out."""
    metadata: dict[str, Any] = {
        "llama.context_length": 64,
        "llama.embedding_length": 8,
        "llama.block_count": 1,
        "llama.feed_forward_length": 8,
        "llama.attention.head_count": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "dbrx",
        "tokenizer.ggml.tokens": SPELLINGS,
        "tokenizer.ggml.token_type": [1] * 97 + [3],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 97,
        **(changes or {}),
    }
    shapes: dict[str, Any] = {"token_embd.weight": (98, 8), "output_norm.weight": (8,)}
    names = ("attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes |= {f"blk.0.{name}.weight": (8,) if name.endswith("norm") else (8, 8) for name in names}
    shapes |= tensors or {}
    writer = gguf.GGUFWriter(path, metadata.pop("general.architecture", "llama"))
    for key, value in metadata.items():
        if value is None:
            continue
        kinds = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32, list: writer.add_array}
        kinds[type(value)](key, value)
    for name, shape in shapes.items():
        if shape is not None:
            writer.add_tensor(name, np.full(shape, 0.5, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_all(path: Path) -> None:
    """Everything that an import reads."""
    file = GgufFile(path)
    read_config(file)
    read_tokenizer(file)
    for name in file.tensors:
        file.tensor(name)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_small(tmp_path_factory.mktemp("small") / "small.gguf").read_bytes()


def check_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        read_all(path)
    except UserError as error:
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=1000)
@given(share=st.floats(0, 1))
def test_a_file_cut_anywhere_gives_no_traceback(small: bytes, tmp_path_factory: pytest.TempPathFactory, share: float):
    check_one_line(tmp_path_factory.getbasetemp() / "cut.gguf", small[: int(share * len(small))])


@settings(max_examples=300, deadline=1000)
@given(place=st.integers(0, 4000), value=st.integers(0, 255), width=st.sampled_from([1, 4, 8]))
def test_a_file_with_altered_bytes_never_gives_a_traceback(
    small: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, value: int, width: int
):
    altered = bytearray(small)
    altered[place : place + width] = bytes([value]) * width
    check_one_line(tmp_path_factory.getbasetemp() / "altered.gguf", bytes(altered))


def header(num_tensors: int, num_keys: int, rest: bytes = b"", magic: bytes = b"GGUF", version: int = 3) -> bytes:
    return magic + struct.pack("<IQQ", version, num_tensors, num_keys) + rest


KEY = struct.pack("<Q", 1) + b"k"
CRAFTED = {
    "empty": b"",
    "other magic": header(0, 0, magic=b"GGML"),
    "big-endian": header(0, 0, version=0x03000000),
    "2^60 tensors": header(2**60, 0),
    "2^60 keys": header(0, 2**60),
    "2^60 numbers in an array": header(0, 1, KEY + struct.pack("<IIQ", 9, 4, 2**60)),
    "2^60 texts in an array": header(0, 1, KEY + struct.pack("<IIQ", 9, 8, 2**60)),
    "a text of 2^63 bytes": header(0, 1, KEY + struct.pack("<IQ", 8, 2**63)),
    "arrays in arrays": header(0, 1, KEY + struct.pack("<IIQ", 9, 9, 1) + bytes(32)),
    "a tensor of 2^62 numbers": header(1, 0, KEY + struct.pack("<IQQIQ", 2, 2**31, 2**31, 0, 0)),
    "a tensor of no numbers": header(1, 0, KEY + struct.pack("<IQIQ", 1, 0, 0, 0)),
    "an unknown tensor type": header(1, 0, KEY + struct.pack("<IQIQ", 1, 4, 99, 0) + bytes(64)),
    "a tensor behind the end": header(1, 0, KEY + struct.pack("<IQIQ", 1, 4, 0, 2**40) + bytes(64)),
    "a key twice": header(0, 2, (KEY + struct.pack("<IB", 0, 1)) * 2),
    "a key that is no text": header(0, 1, struct.pack("<Q", 1) + b"\xff" + struct.pack("<IB", 0, 1)),
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_headers_are_refused_at_once(name: str, tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(CRAFTED[name])
    with pytest.raises(UserError) as caught:
        GgufFile(tmp_path / "x.gguf")
    assert "\n" not in str(caught.value) and "x.gguf" in str(caught.value)


FOREIGN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another architecture": (
        {"general.architecture": "mamba"},
        {},
        "unsupported architecture 'mamba'; supported are llama, qwen2, qwen3",
    ),
    "experts": ({"llama.expert_count": 8}, {}, "llama.expert_count = 8 is not supported"),
    "scaled rotation": ({"llama.rope.scaling.type": "yarn"}, {}, "rope scaling 'yarn'"),
    "scaled rotation, newer": ({}, {"rope_freqs.weight": (4,)}, "rope scaling (rope_freqs.weight) is not supported"),
    "part of a head rotated": ({"llama.rope.dimension_count": 2}, {}, "2 of 4 channels are rotated"),
    "biases": ({}, {"blk.0.attn_q.bias": (8,)}, "blk.0.attn_q.bias has no place in it"),
    "biases elsewhere": ({}, {"blk.0.ffn_up.bias": (8,)}, "tensor blk.0.ffn_up.bias does not belong to a Llama, Qwen2"),
    "a layer too many": ({}, {"blk.1.ffn_up.weight": (8, 8)}, "blk.1.ffn_up.weight has no place in it"),
    "a part of a file": ({"split.count": 3}, {}, "is one of 3 parts of a split GGUF file; join them"),
    "an adapter": ({"general.type": "adapter"}, {}, "is no model but of the type 'adapter'"),
    "soft caps": ({"llama.attn_logit_softcapping": 50.0}, {}, "llama.attn_logit_softcapping = 50.0 is not supported"),
    "Granite's factors": ({"llama.residual_scale": 0.5}, {}, "llama.residual_scale = 0.5"),
    "a window": ({"llama.attention.sliding_window": 32}, {}, "llama.attention.sliding_window = 32"),
    "a billion layers": ({"llama.block_count": 10**9}, {}, "block_count = 1,000,000,000 is more than 1,000"),
    "a context of 2^32 - 1": ({"llama.context_length": 2**32 - 1}, {}, "context_length = 4,294,967,295 is more than"),
    "an eps of 0": ({"llama.attention.layer_norm_rms_epsilon": 0.0}, {}, "rms_norm_eps = 0: must be positive"),
    "an eps of NaN": ({"llama.attention.layer_norm_rms_epsilon": float("nan")}, {}, "rms_norm_eps = nan"),
    "a theta of infinity": ({"llama.rope.freq_base": float("inf")}, {}, "rope_theta = inf"),
    "an end beyond the tokens": ({"tokenizer.ggml.eos_token_id": 98}, {}, "eos_token_id = 98, but there are 98 tokens"),
    "a begin beyond the tokens": ({"tokenizer.ggml.bos_token_id": 500}, {}, "bos_token_id = 500, but there are 98"),
    "a key missing": ({"llama.block_count": None}, {}, "has no key llama.block_count"),
    "a key of another type": ({"llama.block_count": "two"}, {}, "is not of type int"),
    "no heads": ({"llama.attention.head_count": 0}, {}, "num_heads = 0"),
    "a tensor missing": ({}, {"blk.0.ffn_up.weight": None}, "the tensors do not match the header"),
    "a tensor of another shape": ({}, {"blk.0.attn_k.weight": (4, 8)}, "blk.0.attn_k.weight is (4, 8), not (8, 8)"),
    "another tokenizer": (
        {"tokenizer.ggml.model": "llama"},
        {},
        "tokenizer 'llama' is not supported, only byte-level BPE",
    ),
    "another split pattern": (
        {"tokenizer.ggml.pre": "viking"},
        {},
        "unknown pre-tokenizer 'viking'; supported are dbrx",
    ),
    "no split pattern": ({"tokenizer.ggml.pre": None}, {}, "pre-tokenizer 'missing'"),
    "doubled tokens": ({"tokenizer.ggml.tokens": ["a"] * 98}, {}, "duplicate tokens"),
    "no end of text": ({"tokenizer.ggml.eos_token_id": None}, {}, "has no end-of-text token"),
    "an end of text that is text": ({"tokenizer.ggml.eos_token_id": 3}, {}, "has no end-of-text token"),
    "too few kinds": ({"tokenizer.ggml.token_type": [1]}, {}, "token types for"),
    "torn merges": ({"tokenizer.ggml.merges": ["a b c"]}, {}, "a merge is not two symbols"),
    "unknown symbols in merges": ({"tokenizer.ggml.merges": ["zz yy"]}, {}, "damaged"),
    "more tokens than embeddings": ({}, {"token_embd.weight": (90, 8)}, "98 tokens, but embeddings for only 90"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_we_cannot_compute_is_refused_in_one_line(name: str, tmp_path: Path):
    changes, tensors, words = FOREIGN[name]
    with pytest.raises(UserError) as caught:
        import_weights(write_small(tmp_path / "x.gguf", changes, tensors), tmp_path / "out")
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_small_file_without_those_flaws_is_imported(tmp_path: Path):
    loaded = load_folder(import_weights(write_small(tmp_path / "x.gguf"), tmp_path / "out"))
    assert loaded.config.head_dim == 4 and loaded.config.rms_norm_eps == 1e-5


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path):
    path = write_small(tmp_path / "x.gguf")
    content = bytearray(path.read_bytes())
    for bad, dtype, message in (
        (float("nan"), "float32", "output_norm.weight|self_attn|mlp|layernorm"),
        (float("inf"), "bfloat16", "1 numbers that are NaN or infinite"),
        (1e6, "float16", "as float16: .* has 1 numbers that are NaN or infinite"),
    ):
        content[-4:] = struct.pack("<f", bad)
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            import_weights(path, tmp_path / "out", dtype)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_none_yet_says_why(tmp_path: Path):
    path = tmp_path / "x.gguf"
    for content, message in (
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"<html>not found</html>", "the magic bytes GGUF are missing"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(16), "a big-endian file"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            import_weights(path, tmp_path / "out")
    part = write_small(tmp_path / "x-00001-of-00003.gguf")
    with pytest.raises(UserError, match="one of 3 parts"):
        import_weights(part, tmp_path / "out")


def test_tensors_lie_one_after_the_other_or_are_refused(tmp_path: Path):
    path = write_small(tmp_path / "x.gguf")
    content = path.read_bytes()
    place = content.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 16 + 4
    moved = content[:place] + struct.pack("<Q", 0) + content[place + 8 :]
    for changed, message in (
        (moved, "is at byte 0 of the data, not at"),
        (content + b"x" * 64, "follow after the last"),
    ):
        path.write_bytes(changed)
        with pytest.raises(UserError, match=message):
            import_weights(path, tmp_path / "out")


def test_an_unreadable_quantisation_is_named(tmp_path: Path):
    content = write_small(tmp_path / "x.gguf").read_bytes()
    place = content.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 16
    (tmp_path / "x.gguf").write_bytes(content[:place] + struct.pack("<I", 26) + content[place + 4 :])  # I32
    with pytest.raises(UserError, match=r"tensor blk.0.attn_q.weight has type I32; supported are F32, F16"):
        import_weights(tmp_path / "x.gguf", tmp_path / "out")


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
    with pytest.raises(UserError, match="unknown dtype 'q4_k'; use one of f32, f16, bf16, q8_0"):
        export_gguf(path, tmp_path / "x.gguf", "q4_k")
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize("pre", SPLITTINGS)
def test_every_known_split_pattern_comes_back_from_a_file(pre: str, tmp_path: Path):
    path = write_small(tmp_path / "x.gguf", {"tokenizer.ggml.pre": pre})
    tokenizer = read_tokenizer(GgufFile(path))
    assert tokenizer.decode(tokenizer.encode("It's 2024,\n\n  OK?")) == "It's 2024,\n\n  OK?"
    assert isinstance(tokenizer, Tokenizer)
