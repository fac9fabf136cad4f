"""Packed 8- and 4-bit matrices: exactly the numbers of their GGUF blocks; products as with rounded activations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from glassmill.model.blocks import FORMATS, dequantize, quantize
from glassmill.native import _core
from glassmill.native._core import PackedMatrix

ROOT = Path(__file__).resolve().parents[2]
Floats = npt.NDArray[np.float32]
NAMES = ("q8_0", "q4_0", "q4_1", "q4_k")
ROWS = (1, 16, 41)


def some(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def any_blocks(name: str, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Blocks of any integers; their 16-bit scales are finite."""
    form = FORMATS[name]
    blocks = np.random.default_rng(rows).integers(0, 256, (rows, columns // form.block, form.block_bytes), np.uint8)
    for byte in (1, 3)[: 1 if name in ("q8_0", "q4_0") else 2]:
        blocks[..., byte] &= 0xBB  # an exponent without its highest bit
    return blocks.reshape(rows, -1)


def rounded(x: Floats, name: str) -> npt.NDArray[np.float64]:
    """Activations as the products see them: 8 bits, or 15 beside weights of 8 bits; a scale for 32."""
    most = np.float32(127 * 128 if name == "q8_0" else 127)
    groups = x.reshape(len(x), -1, 32)
    largest = np.abs(groups).max(-1, keepdims=True)
    inverse = np.divide(most, largest, out=np.zeros_like(largest), where=largest > 0)
    integers = np.rint(groups * inverse)
    return (integers.astype(np.float64) * (largest / most)).reshape(x.shape)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", NAMES)
def test_a_matrix_of_blocks_holds_exactly_their_numbers(name: str, rows: int) -> None:
    form = FORMATS[name]
    blocks = any_blocks(name, rows, 512)
    packed = PackedMatrix(blocks, name.upper(), name)
    assert np.array_equal(packed.unpacked(), dequantize(blocks, form))
    assert packed.num_bytes <= -(-rows // 16) * 16 * 512 * (form.bits / 8 + 0.02) + 64


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_packed_as_their_nearest_blocks(name: str) -> None:
    form, values = FORMATS[name], some(1, 40, 256)
    assert np.array_equal(PackedMatrix(values, "F32", name).unpacked(), dequantize(quantize(values, form), form))


@pytest.mark.parametrize("stored", ["Q5_0", "Q2_K", "Q6_K"])
def test_other_blocks_are_read_as_their_numbers(stored: str) -> None:
    form = FORMATS[stored.lower()]
    blocks = np.zeros((17, 256 // form.block, form.block_bytes), np.uint8)
    blocks[..., 4:] = 77
    expected = dequantize(blocks.reshape(17, -1), form)
    assert np.array_equal(PackedMatrix(blocks.reshape(17, -1), stored, "f32").unpacked(), expected)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", NAMES)
def test_products_are_those_of_the_numbers_and_the_rounded_activations(name: str, rows: int) -> None:
    packed = PackedMatrix(any_blocks(name, rows, 768), name.upper(), name)
    x = some(2, 11, 768)
    x[3], x[4, :32] = 0, 0
    weights = packed.unpacked().astype(np.float64)
    seen = rounded(x, name)
    expected, size = seen @ weights.T, np.abs(seen) @ np.abs(weights).T
    assert (np.abs(packed.multiply(x) - expected) <= 1e-5 * size + 1e-12).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_the_same_bits_whatever_is_multiplied_with_it(name: str) -> None:
    packed, x = PackedMatrix(some(3, 130, 256), "F32", name), some(4, 40, 256)
    alone = np.concatenate([packed.multiply(row[None]) for row in x])
    for count in (2, 3, 7, 8, 9, 16, 40):
        assert (packed.multiply(x[:count]) == alone[:count]).all()


def test_the_largest_integers_do_not_overflow() -> None:
    for name in NAMES:
        for fill in (0x00, 0x7F, 0x80, 0xFF):
            form = FORMATS[name]
            blocks = np.full((16, 256 // form.block, form.block_bytes), fill, np.uint8)
            blocks[..., :4] = (
                np.array([0, 0x3C, 0, 0x3C]) if name in ("q4_1", "q4_k") else np.array([0, 0x3C, fill, fill])
            )
            packed = PackedMatrix(blocks.reshape(16, -1), name.upper(), name)
            x = np.full((2, 256), 3.0, np.float32)
            x[1, ::2] = -3
            expected = x.astype(np.float64) @ packed.unpacked().T.astype(np.float64)
            assert np.allclose(packed.multiply(x), expected, rtol=1e-5, atol=1e-2 * np.abs(packed.unpacked()).max())


def test_columns_that_are_no_whole_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="q4_k needs a multiple of 256 columns, not 96"):
        PackedMatrix(some(1, 4, 96), "F32", "q4_k")
    with pytest.raises(ValueError, match="rows of whole blocks"):
        PackedMatrix(np.zeros((4, 33), np.uint8), "Q8_0", "q8_0")
    bad = any_blocks("q8_0", 20, 64)
    bad[17, :2] = (0, 0x7C)
    with pytest.raises(ValueError, match="NaN or infinite"):
        PackedMatrix(bad, "Q8_0", "q8_0")


PRINT = """
import hashlib
from tests.native.test_blocked import NAMES, PackedMatrix, some
for name in NAMES:
    for rows in (1, 2, 13):
        out = PackedMatrix(some(5, 97, 512), "F32", name).multiply(some(6, rows, 512))
        print(name, rows, hashlib.sha256(out.tobytes()).hexdigest())
"""


def test_every_instruction_set_gives_the_same_bits() -> None:
    found = set()
    for instruction_set in _core.INSTRUCTION_SETS:
        environment = {**os.environ, "GLASSMILL_ISA": instruction_set, "PYTHONPATH": f"{ROOT}/src:{ROOT}"}
        found.add(
            subprocess.run([sys.executable, "-c", PRINT], env=environment, check=True, capture_output=True).stdout
        )
    assert len(found) == 1
