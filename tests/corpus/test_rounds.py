"""Connected components in rounds of tasks: those of union-find, for graphs of every shape and any cut into ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.corpus.dedup.clusters import Clusters
from glassmill.corpus.dedup.pairs import folder_of_pairs, read_pairs, written
from glassmill.corpus.dedup.rounds import join_in_rounds
from glassmill.corpus.dedup.rows import Ranges, RunTask
from glassmill.corpus.dedup.table import EXACT, Table, read_table
from glassmill.run.worker import Link, load_function


class Rounds:
    """Runs tasks here, and counts how often stars were made."""

    def __init__(self) -> None:
        self.stages = 0

    def run(self, function: str, tasks: Sequence[Mapping[str, object]]) -> list[Mapping[str, Any]]:
        self.stages += function.endswith("_star")
        return [load_function(function)(dict(task), Link()) for task in tasks]


def join(folder: Path, count: int, edges: np.ndarray, per_run: int, at_once: int = 64) -> tuple[np.ndarray, int]:
    """The table for a graph of `count` documents, and how many stages it took. No run has clusters of its own."""
    keys = np.stack([np.arange(count, dtype=np.uint64) + 1000, np.full(count, 7, np.uint64)], axis=1)
    folder.mkdir(exist_ok=True)
    np.save(folder / "keys.npy", np.asfortranarray(keys), allow_pickle=False)
    ranges = Ranges(count, per_run)
    runs = []
    for place in range(len(ranges)):
        source = str(folder / "keys.npy"), *ranges.span(place)
        task = RunTask(folder=str(folder), columns=1, ranges=1, count=count, per_run=per_run, pairs_at_once=at_once,
                       run=place, sources=[source])  # fmt: skip
        runs.append(task)
        (folder / f"run-{place:05d}").mkdir()
        (folder / f"run-{place:05d}" / "pairs.bin").touch()
    pairs = folder_of_pairs(runs[0], 0, 0)
    pairs.mkdir(parents=True)
    with written(pairs, "larger", ranges) as file:
        edges = edges[edges[:, 0] != edges[:, 1]].astype(ranges.kind)
        for begin in range(0, len(edges), at_once):
            file.add(edges[begin : begin + at_once].max(1), edges[begin : begin + at_once].min(1))
    rounds = Rounds()
    table = join_in_rounds(runs, 0, rounds.run)
    return read_table(table), rounds.stages


def plain(count: int, edges: np.ndarray) -> np.ndarray:
    clusters = Clusters(count)
    clusters.join(edges[:, 0], edges[:, 1])
    return np.column_stack([clusters.survivors + 1000, clusters.sizes, np.full(count, EXACT)])


@given(
    count=st.integers(2, 60),
    edges=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=90),
    per_run=st.integers(1, 30),
    at_once=st.integers(1, 9),
)
@settings(max_examples=12)
def test_rounds_give_the_components_of_union_find(
    count: int, edges: list[tuple[int, int]], per_run: int, at_once: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graph, per_run = np.array(edges, np.int64).reshape(-1, 2) % count, min(per_run, count - 1)
    table, _ = join(tmp_path_factory.mktemp("join") / "work", count, graph, per_run, at_once)
    assert np.array_equal(table, plain(count, graph))


def chain(order: np.ndarray) -> np.ndarray:
    return np.stack([order[:-1], order[1:]], axis=1)


COUNT = 1000
CHANCE = np.random.default_rng(5)
GRAPHS = {
    "nothing": (np.zeros((0, 2), np.int64), 2),
    "a chain in order": (chain(np.arange(COUNT)), 22),
    "a chain in any order": (chain(CHANCE.permutation(COUNT)), 22),
    "all around the last": (chain(np.arange(COUNT)) * [1, 0] + [0, COUNT - 1], 6),
    "one giant and many small ones": (CHANCE.integers(0, COUNT, (COUNT * 2 // 3, 2)), 16),
    "dense": (CHANCE.integers(0, COUNT, (5 * COUNT, 2)), 10),
    "two chains that meet in the middle": (
        np.concatenate([chain(np.arange(0, COUNT, 2)), chain(np.arange(1, COUNT, 2)), [[500, 501]]]),
        22,
    ),
}


@pytest.mark.parametrize(("edges", "most"), GRAPHS.values(), ids=GRAPHS)
def test_graphs_of_every_shape_are_joined_within_few_rounds(edges: np.ndarray, most: int, tmp_path: Path) -> None:
    """A small star and a large one are two stages; a chain of 1,000 takes 2 log2(1,000) of them, and two to see it."""
    table, stages = join(tmp_path / "work", COUNT, edges, 400)
    assert np.array_equal(table, plain(COUNT, edges))
    assert stages <= most, stages
    rows = Table(tmp_path / "work" / "clusters")
    assert [rows.row(number) for number in (0, 999, 1, 400, 399)] == [tuple(table[n]) for n in (0, 999, 1, 400, 399)]


def test_pairs_are_found_again_by_either_side_and_no_more_than_asked_at_once(tmp_path: Path) -> None:
    ranges = Ranges(100, 7)
    larger = CHANCE.integers(1, 100, 500)
    smaller = CHANCE.integers(0, larger)
    expected = set(zip(larger.tolist(), smaller.tolist(), strict=True))
    for side, column in (("larger", 0), ("smaller", 1)):
        with written(tmp_path, side, ranges) as file:  # type: ignore[arg-type]
            for begin in range(0, 500, 90):
                file.add(larger[begin : begin + 90].astype(np.uint32), smaller[begin : begin + 90].astype(np.uint32))
        found = []
        for place in range(len(ranges)):
            for pairs in read_pairs([tmp_path], side, ranges, place, 11):  # type: ignore[arg-type]
                assert 0 < len(pairs) <= 11 and (pairs[:, column] // 7 == place).all()
                found += pairs.tolist()
        assert set(map(tuple, found)) == expected
