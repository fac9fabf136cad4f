"""GGUF files of others: damaged, crafted, or of models that we cannot compute. Each is read, or refused in one line."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.errors import UserError
from glassmill.export.gguf_reader import GgufFile
from glassmill.export.gguf_shape import read_config
from glassmill.export.gguf_tokenizer import read_tokenizer
from glassmill.export.importing import import_weights
from glassmill.infer.folder import load_folder
from tests.export.small_gguf import write_small


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
    "a key that is not text": header(0, 1, struct.pack("<Q", 1) + b"\xff" + struct.pack("<IB", 0, 1)),
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
    "an adapter": ({"general.type": "adapter"}, {}, "is not a model: its type is 'adapter'"),
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
