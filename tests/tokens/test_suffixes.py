"""Suffix arrays of token ids: in order, the same from the core and its twin, and a search finds what a reader would."""

from __future__ import annotations

import gc
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill import native
from glassmill.errors import UserError
from glassmill.tokens import plain_suffixes, suffixes
from glassmill.tokens.plain_suffixes import PlainSuffixes, unpacked
from glassmill.tokens.shards import Shards
from glassmill.tokens.suffixes import SuffixIndex, build, is_built, sorted_suffixes
from glassmill.tokens.tokenizer import Tokenizer
from tests.train.builders import write_tokens

core = pytest.mark.skipif(not native.available(), reason="no native core")


@st.composite
def texts(draw: st.DrawFn) -> np.ndarray:
    """Ids of both widths: random, or one piece over and over, which is hardest to sort."""
    alphabet = draw(st.sampled_from([1, 2, 3, 50, 60_000]))
    ids = draw(st.lists(st.integers(0, alphabet - 1), max_size=60)) * draw(st.sampled_from([1, 1, 2, 7]))
    return np.array(ids, dtype=draw(st.sampled_from(["<u2", "<u4"])))


@settings(max_examples=150, deadline=None)
@given(ids=texts())
def test_the_suffixes_are_in_order_and_the_core_and_its_twin_agree(ids: np.ndarray) -> None:
    wanted = sorted(range(len(ids)), key=lambda first: ids[first:].tolist())
    assert unpacked(plain_suffixes.sort_suffixes(ids)).tolist() == wanted
    assert unpacked(sorted_suffixes(ids, 60_000)).tolist() == wanted


@core
@settings(max_examples=150, deadline=None)
@given(parts=st.lists(texts(), max_size=3), query=st.lists(st.integers(0, 3), max_size=9))
def test_a_search_finds_every_place_and_no_other(parts: list[np.ndarray], query: list[int]) -> None:
    pairs = [(ids, sorted_suffixes(ids, 60_000)) for ids in parts]
    wanted = np.array(query, dtype=np.uint32)
    for searched in (native._core.Suffixes(pairs), native._core.Suffixes(pairs, 2), PlainSuffixes(pairs)):
        longest = [max((_match(ids, query[at:]) for ids in parts), default=0) for at in range(len(query))]
        assert searched.longest(wanted).tolist() == longest
        ranges = searched.find(wanted).reshape(-1, 2).tolist()
        for (ids, positions), (first, last) in zip(pairs, ranges, strict=True):
            found = sorted(unpacked(positions)[first:last].tolist())
            assert found == [at for at in range(len(ids)) if ids[at:].tolist()[: len(query)] == query]


def _match(ids: np.ndarray, query: list[int]) -> int:
    """The longest start of `query` that stands in `ids`, by looking everywhere."""
    lengths = range(len(query), 0, -1)
    here = ids.tolist()
    return next((n for n in lengths if any(here[at : at + n] == query[:n] for at in range(len(here)))), 0)


@core
def test_ids_that_the_core_cannot_sort_are_refused() -> None:
    with pytest.raises(ValueError, match="not in the vocabulary"):
        native._core.sort_suffixes(np.array([3], np.uint16), 3)
    with pytest.raises(ValueError, match="other numbers of ids and positions"):
        native._core.Suffixes([(np.zeros(4, np.uint16), np.zeros(9, np.uint8))])
    damaged = native._core.Suffixes([(np.zeros(4, np.uint16), np.full(12, 255, np.uint8))])
    with pytest.raises(RuntimeError, match="after the end"):
        damaged.longest([0])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tokens run of two shards, and its tokenizer."""
    return write_tokens(tmp_path_factory.mktemp("town"))[0].parent


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return shutil.copytree(written, tmp_path / "town") / "tokens"


def test_an_index_finds_each_sequence_where_it_stands(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suffixes, "MOST_SUFFIXES", 500)  # many parts
    build(run)
    index, shards = SuffixIndex(run), Shards(run)
    assert index.tokens == len(shards) and len(list(suffixes._parts(shards))) >= 10
    whole = [shards.shard(number).tolist() for number in range(len(shards.entries))]
    tokenizer = Tokenizer.load(run.parent / "tokenizer")
    for words in (" the", "Clara is the smith of the town.", "zyzzyva", "Ada"):
        ids = tokenizer.encode(words).tolist()
        starts = [range(len(shard)) for shard in whole]
        wanted = [(s, at) for s, shard in enumerate(whole) for at in starts[s] if shard[at : at + len(ids)] == ids]
        assert index.count(ids) == len(wanted)
        assert [tuple(place) for place in index.places(ids)] == wanted
        assert len(index.places(ids, most=3)) == min(3, len(wanted))


def test_an_index_serves_without_the_core(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(run)
    ids = Shards(run).shard(0)[20:24].tolist()
    wanted = SuffixIndex(run)
    made = (run / suffixes.FOLDER / suffixes.POSITIONS).read_bytes()
    monkeypatch.setattr(native, "_BUILT", False)
    plain = SuffixIndex(run)
    assert plain.places(ids) == wanted.places(ids) != []
    assert plain.longest(ids).tolist() == wanted.longest(ids).tolist()
    shutil.rmtree(run / suffixes.FOLDER)
    build(run)
    assert (run / suffixes.FOLDER / suffixes.POSITIONS).read_bytes() == made


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are not to be counted here")
def test_more_shards_than_files_that_may_be_open_are_told(run: Path) -> None:
    build(run)
    gc.collect()  # closes the files of earlier tests
    with os.scandir("/proc/self/fd") as entries:
        taken = {int(entry.name) for entry in entries}  # with that of the listing, which is free afterwards
    free = (number for number in itertools.count() if number not in taken)
    least = next(itertools.islice(free, 1, None)) + 1  # two numbers and that of the listing are left below it
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (least, limits[1]))  # the index and one shard; a map takes two
    try:
        with pytest.raises(UserError, match=r"has 2 id shards, more than .* ulimit -n"):
            SuffixIndex(run)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_parts_are_cut_between_documents_and_a_longer_document_anywhere(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = Shards(run)
    for most in (40, 500, 10**6):
        monkeypatch.setattr(suffixes, "MOST_SUFFIXES", most)
        parts = list(suffixes._parts(shards))
        assert sum(part.ids for part in parts) == len(shards) and max(part.ids for part in parts) <= most
        for part in parts:
            firsts = shards.documents_of(part.shard)[:, 0].tolist()
            document = max(first for first in firsts if first <= part.first)
            assert part.first == document or (part.first - document) % most == 0


def test_an_index_is_no_part_of_the_run_and_is_made_once(run: Path) -> None:
    before = (run / "manifest.json").read_bytes()
    told: list[int] = []
    build(run, tell=lambda done, total: told.append(done))
    written = (run / suffixes.FOLDER / suffixes.POSITIONS).read_bytes()
    build(run, tell=lambda done, total: pytest.fail("made again"))
    assert told[-1] == len(Shards(run)) and (run / "manifest.json").read_bytes() == before
    assert len(written) == 3 * len(Shards(run))
    for file in (run / suffixes.FOLDER).iterdir():
        file.unlink()
    (run / suffixes.FOLDER).rmdir()
    build(run, threads=1)
    assert (run / suffixes.FOLDER / suffixes.POSITIONS).read_bytes() == written


def test_a_killed_build_leaves_nothing_that_is_taken_for_an_index(run: Path) -> None:
    program = (
        "import os, sys; from glassmill.tokens import suffixes\n"
        "suffixes.build(sys.argv[1], 1, lambda done, total: os.kill(os.getpid(), 9))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(run)], check=False).returncode == -9
    assert not is_built(run)
    build(run)
    assert SuffixIndex(run).tokens == len(Shards(run))


def test_a_damaged_or_a_foreign_index_is_refused_with_what_to_do(run: Path) -> None:
    with pytest.raises(UserError, match=r"has no index; `glassmill trace .* --build` makes it"):
        SuffixIndex(run)
    build(run)
    path = run / suffixes.FOLDER / suffixes.INDEX
    good = json.loads(path.read_text())
    for change in ({"version": 0}, {"content": "0" * 64}):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(UserError, match=r"of another version .* or of other ids; delete .*suffixes"):
            SuffixIndex(run)
    path.write_text(json.dumps(good))
    positions = run / suffixes.FOLDER / suffixes.POSITIONS
    positions.write_bytes(b"\0" + positions.read_bytes()[1:-1] + b"\7")
    with pytest.raises(UserError, match=r"positions\.bin has other bytes than were written; delete"):
        SuffixIndex(run)
    (run / "DONE").unlink()
    with pytest.raises(UserError, match="is not finished"):
        build(run)
