"""GGUF's block formats: the core, its plain twin and the `gguf` package agree; what is written comes back near."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from glassmill import native
from glassmill.model import blocks, plain_quantize
from glassmill.model.blocks import FORMATS, WRITABLE, dequantize, quantize
from glassmill.model.plain_formats import Format, unpack

needs_core = pytest.mark.skipif(not native.available(), reason="compares with the core")


def weights(form: Format, num_blocks: int = 300, seed: int = 0) -> np.ndarray:
    """Blocks of every kind: large and tiny, of one sign, on a grid, of zeros with either sign, with an outlier."""
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(num_blocks, form.block)) * 10.0 ** chance.uniform(-9, 3, (num_blocks, 1))
    x = np.minimum(np.abs(x), 5e4) * np.sign(x)
    x[::7], x[1::7] = np.abs(x[::7]), -np.abs(x[1::7])
    x[2::13] = np.round(x[2::13] * 4) / 4
    x[3::20], x[4::20] = 0, -0.0
    x[5::11, ::2] = 0
    x[6::17, 3] *= 50
    x[8::30] = chance.choice([1e-38, -1e-44, 0.0, -0.0], x[8::30].shape)
    return np.clip(x, -5e4, 5e4).astype(np.float32)


@pytest.mark.parametrize("name", FORMATS)
def test_blocks_of_any_bytes_mean_what_the_gguf_package_reads(name: str):
    form = FORMATS[name]
    rows = np.random.default_rng(1).integers(0, 256, (50, 3 * form.block_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType(form.number))
    assert np.array_equal(dequantize(rows, form), expected, equal_nan=True)
    assert gguf.GGML_QUANT_SIZES[form.number] == (form.block, form.block_bytes)


@needs_core
@pytest.mark.parametrize("name", FORMATS)
def test_the_core_reads_blocks_as_its_twin(name: str):
    form = FORMATS[name]
    rows = np.random.default_rng(2).integers(0, 256, (200, form.block_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):
        expected = unpack(rows, form).values()
    found = dequantize(rows, form)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found), np.signbit(expected))


@needs_core
@pytest.mark.parametrize("counts", ["reference", "alike", "random"])
@pytest.mark.parametrize("name", WRITABLE)
def test_the_core_writes_the_bytes_of_its_twin(name: str, counts: str):
    form = FORMATS[name]
    x = weights(form)
    importance = {
        "reference": np.zeros_like(x),
        "alike": np.ones_like(x),
        "random": np.random.default_rng(3).random(x.shape, dtype=np.float32) ** 4,
    }[counts]
    if counts == "reference" and form.block == 256:
        importance += np.float32(0.5)
    found = np.empty((len(x), form.block_bytes), dtype=np.uint8)
    native._core.quantize(x, importance, form.number, found)
    assert np.array_equal(found, plain_quantize.quantize(x, form, importance))


@pytest.mark.parametrize("name", [name for name in WRITABLE if FORMATS[name].block == 32])
def test_without_a_search_the_bytes_are_those_of_the_gguf_package(name: str):
    form = FORMATS[name]
    x = np.random.default_rng(4).normal(size=(40, 5 * form.block)).astype(np.float32)
    x[3] = 0
    expected = gguf.quants.quantize(x, gguf.GGMLQuantizationType(form.number))
    assert np.array_equal(quantize(x, form, search=False), expected)


# Root mean square error over that of the weights, normal ones, as Lloyd's and llama.cpp's quantisers have it too.
BOUNDS = {"q8_0": 0.0051, "q6_k": 0.0175, "q5_0": 0.0405, "q4_1": 0.0705, "q4_k": 0.0708, "q4_0": 0.0815}


@pytest.mark.parametrize("name", WRITABLE)
def test_normal_weights_come_back_within_the_bound_of_their_format(name: str):
    form = FORMATS[name]
    x = np.random.default_rng(5).normal(size=(64, 512)).astype(np.float32) * np.float32(0.03)
    found = dequantize(quantize(x, form), form)
    assert np.sqrt(((found - x) ** 2).mean()) / x.std() < BOUNDS[name]
    assert np.array_equal(quantize(found, FORMATS["q8_0"]), quantize(found.copy(), FORMATS["q8_0"]))


@pytest.mark.parametrize("name", ["q8_0", "q4_0", "q5_0", "q4_1"])
def test_the_search_comes_nearer_than_the_reference_in_every_block(name: str):
    form = FORMATS[name]
    x = np.random.default_rng(6).normal(size=(400, 32)).astype(np.float32)
    near, far = (dequantize(quantize(x, form, search=search), form) for search in (True, False))
    near, far = (((one - x) ** 2).sum(1) for one in (near, far))
    assert near.mean() < 0.93 * far.mean()
    assert (near <= far * 1.01).all()  # scales are rounded to 16 bits after the search


@pytest.mark.parametrize("name", WRITABLE)
def test_important_columns_come_back_nearer(name: str):
    form = FORMATS[name]
    x = np.random.default_rng(7).normal(size=(200, 256)).astype(np.float32)
    importance = np.where(np.arange(256) % 4 == 0, 50, 1).astype(np.float32)
    away = (dequantize(quantize(x, form, importance), form) - x) ** 2
    assert away[:, ::4].mean() < 0.8 * away[:, 1::4].mean()


def test_without_the_core_the_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch):
    x = np.random.default_rng(8).normal(size=(3, 512)).astype(np.float32)
    found = {name: quantize(x, FORMATS[name]) for name in WRITABLE}
    monkeypatch.setattr(native, "available", lambda: False)
    for name, rows in found.items():
        assert np.array_equal(quantize(x, FORMATS[name]), rows)
        assert np.array_equal(dequantize(rows, FORMATS[name]), dequantize(rows.copy(), FORMATS[name]))


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("q5_k", np.zeros((1, 256)), "q5_k is read, not written; written are q8_0, q4_0"),
        ("q4_k", np.zeros((1, 96)), "q4_k needs rows of a multiple of 256 weights, not 96"),
        ("q8_0", np.full((1, 32), np.nan), "weights must be finite"),
        ("q4_0", np.full((1, 32), 1e6), "weights must be finite and at most 60000"),
    ],
)
def test_what_cannot_be_written_is_refused(name: str, rows: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        blocks.quantize(rows.astype(np.float32), FORMATS[name])


def test_importance_of_another_size_or_below_zero_is_refused():
    for wrong in (np.ones(31), np.full(32, -1.0), np.full(32, np.inf)):
        with pytest.raises(ValueError, match="importance must be 32 finite numbers"):
            blocks.quantize(np.ones((1, 32), dtype=np.float32), FORMATS["q4_0"], wrong.astype(np.float32))
