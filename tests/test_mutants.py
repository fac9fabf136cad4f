"""Of hundreds of damaged and hostile files, none is accepted with other content, crashes, hangs or eats memory.

`bench/mutants.py` makes and judges them; it prints the same table for ten thousand.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


@pytest.fixture(scope="module")
def mutants() -> Iterator[ModuleType]:
    """The processes that read import the same modules by their names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        yield importlib.import_module("mutants")


def judge(mutants: ModuleType, count: int, seed: int) -> None:
    table, failures = mutants.run(count, seed, list(mutants.READERS), 1)
    assert not failures, "\n".join(failures[:5])
    assert sum(outcomes.total() for outcomes in table.values()) == count
    for kind, outcomes in table.items():
        assert outcomes["refused"], f"no mutant of {kind} was refused: is anything changed at all?"


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by what Linux counts")
@pytest.mark.slow
def test_hundreds_of_mutants_are_refused_in_one_line_or_read_as_they_are(mutants: ModuleType) -> None:
    judge(mutants, 320, 11)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by what Linux counts")
def test_thousands_of_mutants_are_refused_in_one_line_or_read_as_they_are(mutants: ModuleType) -> None:
    judge(mutants, 2000, 12)


def test_a_seed_decides_every_mutant(mutants: ModuleType) -> None:
    mutations = importlib.import_module("mutations")
    data = bytes(range(256)) * 8
    for mutate in (mutations.mutate_bytes, mutations.mutate_text, mutations.mutate_json):
        assert [mutate(data, random.Random(n)) for n in range(50)] == [
            mutate(data, random.Random(n)) for n in range(50)
        ]
    changed = [mutations.mutate_bytes(data, random.Random(number)) for number in range(200)]
    assert sum(one != data for one in changed) > 150
