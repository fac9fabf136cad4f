"""Packed weights: every format gives its numbers back, and its products are those of the numbers, however many rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from glassmill.native import _core
from glassmill.native._core import PackedMatrix

ROOT = Path(__file__).resolve().parents[2]
Floats = npt.NDArray[np.float32]
SHAPES = [(1, 1), (16, 2), (17, 3), (97, 48), (64, 31), (130, 257), (200, 64)]


def some(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def bf16(values: Floats) -> npt.NDArray[np.uint16]:
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def rounded(values: Floats) -> Floats:
    return (bf16(values).astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_packed_matrix_gives_its_numbers_back(shape: tuple[int, int]) -> None:
    values = some(1, *shape)
    assert (PackedMatrix(values, "F32", "f32").unpacked() == values).all()
    assert (PackedMatrix(values, "F32", "bf16").unpacked() == rounded(values)).all()
    assert (PackedMatrix(bf16(values), "BF16", "f32").unpacked() == rounded(values)).all()
    halves = values.astype(np.float16)
    assert (PackedMatrix(halves.view(np.uint16), "F16", "f32").unpacked() == halves.astype(np.float32)).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("format", ["f32", "bf16"])
def test_products_are_those_of_the_numbers(shape: tuple[int, int], format: str) -> None:
    values, x = some(1, *shape), some(2, 13, shape[1])
    expected = (x @ values.T) if format == "f32" else (rounded(x) @ rounded(values).T)
    assert np.allclose(PackedMatrix(values, "F32", format).multiply(x), expected, atol=2e-5 * shape[1] ** 0.5)


@pytest.mark.parametrize("format", ["f32", "bf16"])
def test_a_row_is_the_same_bits_whatever_is_multiplied_with_it(format: str) -> None:
    matrix, x = PackedMatrix(some(1, 130, 257), "F32", format), some(2, 40, 257)
    alone = np.concatenate([matrix.multiply(row[None]) for row in x])
    for count in (2, 3, 5, 6, 7, 8, 13, 32, 40):
        assert (matrix.multiply(x[:count]) == alone[:count]).all()


def test_every_half_is_read_as_numpy_reads_it() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    bits = bits[np.isfinite(bits.view(np.float16))].reshape(-1, 16)
    expected = bits.view(np.float16).astype(np.float32)
    assert (PackedMatrix(bits, "F16", "f32").unpacked().view(np.uint32) == expected.view(np.uint32)).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    values = some(1, 40, 20)
    values[33, 7] = number
    with pytest.raises(ValueError, match="numbers that are NaN or infinite"):
        PackedMatrix(values, "F32", "bf16")


PRINT = """
import hashlib
from tests.native.test_matrix import PackedMatrix, some
for shape in ((97, 48), (130, 257)):
    for rows in (1, 2, 13):
        product = PackedMatrix(some(1, *shape), "F32", "bf16").multiply(some(2, rows, shape[1]))
        print(hashlib.sha256(product.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("instruction_set", _core.INSTRUCTION_SETS)
def test_bfloat16_products_are_the_same_bits_for_every_instruction_set(instruction_set: str) -> None:
    def run(name: str) -> str:
        environment = {**os.environ, "GLASSMILL_ISA": name}
        return subprocess.run(
            [sys.executable, "-c", PRINT], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    assert run(instruction_set) == run(_core.INSTRUCTION_SETS[-1])
