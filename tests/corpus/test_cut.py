"""The cut: small files share a shard, and the ranges of a large one hold what it gives read from its beginning."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glassmill.corpus.document import Lost, Page, documents
from glassmill.corpus.read import cut as cutting
from glassmill.corpus.read.cut import END, FILES_PER_SHARD, Range, Source, cut, misread
from glassmill.corpus.read.sources import read_pages
from glassmill.corpus.read.warc import MAX_RECORD_BYTES
from glassmill.recipe import FilesSettings
from glassmill.run.shards import find_shards, folder_of, shard_called, shard_name
from tests.corpus.pages import PAGES, article, record, write_warc
from tests.corpus.test_corpus import build, quarantine

Items = list[Page | Lost]


def read(path: Path, part: Range | None = None) -> Items:
    return list(read_pages(path, path.name, MAX_RECORD_BYTES, FilesSettings(), part))


def read_in_ranges(path: Path, bounds: Sequence[int]) -> tuple[Items, int]:
    """The items of all ranges in order, and how many ranges had to be read again."""
    edges = [0, *bounds, END]
    size = path.stat().st_size
    shards = [[Source(path, path.name, size, "", begin, end, begin == 0)] for begin, end in pairwise(edges)]
    found: dict[int, tuple[Items, Range]] = {}
    wrong = {number: shard[0] for number, shard in enumerate(shards)}
    again = -len(shards)
    while wrong:
        again += len(wrong)
        for number, source in wrong.items():
            shards[number] = [source]
            part = Range(source.begin, source.end, source.known)
            found[number] = read(path, part), part
        wrong = misread(shards, [(part.first, part.stop) for _, part in (found[n] for n in range(len(shards)))])
    return [item for number in range(len(shards)) for item in found[number][0]], again


def pages_warc(folder: Path) -> Path:
    return write_warc(folder / "pages.warc.gz", [member for _, member, _ in PAGES])


def plain_warc(folder: Path) -> Path:
    """An uncompressed archive, one page of which shows what a WARC file looks like."""
    members = [gzip.decompress(record(f"http://x.example/{number}", article(number))) for number in range(9)]
    shown = record("http://howto.example/", b"<pre>\n" + b"\n".join(members[:3]) + b"</pre>")
    return write_warc(folder / "pages.warc", [*members[:4], gzip.decompress(shown), *members[4:]])


def nested_warc(folder: Path) -> Path:
    """One page is an archive itself, which gzip keeps as it is: its records look like those of the outer one."""
    inner = b"".join(record(f"http://inner.example/{number}", article(50 + number)) for number in range(6))
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + inner
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://archive.example/\r\nContent-Length: %d\r\n\r\n"
    stored = gzip.compress(head % len(block) + block + b"\r\n\r\n", compresslevel=0, mtime=0)
    members = [record(f"http://x.example/{number}", article(number)) for number in range(6)]
    return write_warc(folder / "nested.warc.gz", [*members[:2], stored, *members[2:]])


def solid_warc(folder: Path) -> Path:
    whole = b"".join(gzip.decompress(record(f"http://x.example/{number}", article(number))) for number in range(9))
    return write_warc(folder / "solid.warc.gz", [gzip.compress(whole, mtime=0)])


def damaged_warc(folder: Path) -> Path:
    data = bytearray(b"".join(member for _, member, _ in PAGES))
    noise = random.Random(3)
    for _ in range(4):
        place = noise.randrange(len(data) - 40)
        data[place : place + 30] = noise.randbytes(30)
    return write_warc(folder / "damaged.warc.gz", [bytes(data)])


def parquet(folder: Path) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"text": [article(number) for number in range(60)]}), path, row_group_size=7)
    return path


def jsonl(folder: Path) -> Path:
    """Rows with empty lines, broken ones and one of many bytes, behind a mark of UTF-8; no line end at the end."""
    rows = [json.dumps({"text": article(number)}) for number in range(30)]
    rows[3:3] = ["", "  ", "{broken", json.dumps({"text": "long " * 4000})]
    path = folder / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(rows).encode())
    return path


MAKERS: dict[str, tuple[Callable[[Path], Path], bool]] = {
    "members": (pages_warc, False),
    "plain": (plain_warc, True),
    "nested": (nested_warc, True),
    "solid": (solid_warc, False),
    "damaged": (damaged_warc, False),
    "parquet": (parquet, False),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_ranges_of_a_file_hold_what_it_gives_read_whole(name: str, tmp_path: Path) -> None:
    maker, misleads = MAKERS[name]
    path = maker(tmp_path)
    whole, size, chance = read(path), path.stat().st_size, random.Random(5)
    again = 0
    for count in (1, 1, 2, 3, 5, 9):
        for _ in range(6):
            items, more = read_in_ranges(path, sorted(chance.sample(range(1, size), count)))
            assert items == whole
            again += more
    assert (again > 0) == misleads or name == "damaged"


def test_real_archives_are_read_alike_in_ranges(shared_data: Path) -> None:
    chance = random.Random(6)
    for path in sorted((shared_data / "warc").iterdir()):
        whole, size = read(path), path.stat().st_size
        for count in (1, 4):
            items, _ = read_in_ranges(path, sorted(chance.sample(range(1, size), count)))
            assert items == whole, path.name


def test_the_ranges_of_rows_are_whole_lines_that_keep_their_numbers(tmp_path: Path) -> None:
    path = jsonl(tmp_path)
    whole, size = read(path), path.stat().st_size
    for bytes_ in (300, 1000, 5000, 20_000):
        shards = cut([Source(path, path.name, size)], bytes_)
        assert [item for (one,) in shards for item in read(path, one.range())] == whole
        assert len(shards) > 1 and sum(one.bytes for (one,) in shards) == size
    for name, content in (
        ("packed.jsonl.gz", gzip.compress(path.read_bytes())),
        ("wide.jsonl", "{}\n".encode("utf-16") * 90),
    ):
        (tmp_path / name).write_bytes(content)
        assert len(cut([Source(tmp_path / name, name, len(content))], 1)) == 1


def source(name: str, size: int) -> Source:
    return Source(Path(name), name, size)


def test_small_files_share_a_shard_and_large_ones_are_cut() -> None:
    small = [source(f"{number}.html", 2000) for number in range(90_000)]
    shards = cut(small, 64 << 20)
    assert [one for shard in shards for one in shard] == small
    assert len(shards) == 90_000 // FILES_PER_SHARD
    mixed = [source("a.html", 5 << 20), source("b.warc.gz", 900 << 20), source("c.zip", 900 << 20), source("d.txt", 9)]
    named = [[(one.name, one.bytes >> 20) for one in shard] for shard in cut(mixed, 100 << 20)]
    pieces = [[("b.warc.gz", 100)]] * 9
    assert named == [[("a.html", 5)], *pieces, [("c.zip", 900)], [("d.txt", 0)]]
    assert [len(shard) for shard in cut(mixed, 100 << 20, divide=False)] == [1, 1, 1, 1]
    assert len(cut([source("pages.warc.gz", 17 << 20)], 64 << 20)) == cutting.SHARDS_WANTED


def test_a_corpus_of_ranges_has_the_documents_of_one_that_is_not_cut(tmp_path: Path) -> None:
    path = nested_warc(tmp_path)
    build(tmp_path / "whole", [path])
    build(tmp_path / "cut", [path], "corpus.shard_mb=0.0015")
    assert len(find_shards(tmp_path / "cut", "documents")) > 3
    assert list(documents(tmp_path / "cut")) == list(documents(tmp_path / "whole"))
    assert quarantine(tmp_path / "cut") == quarantine(tmp_path / "whole")


def test_no_folder_has_more_than_two_thousand_entries(tmp_path: Path) -> None:
    entries: dict[str, set[str]] = {}
    for number in range(0, 1_000_000, 50):
        outer, _, inner = folder_of(number).rstrip("/").partition("/")
        entries.setdefault("", set()).add(outer)
        entries.setdefault(outer, set()).add(inner)
    assert max(map(len, entries.values())) <= 250
    assert {
        len({n for n in range(first, first + 250) if folder_of(n) == folder_of(first)}) for first in (0, 62_500)
    } == {250}
    numbers = (0, 249, 250, 62_499, 62_500, 99_999, 100_000)
    for number in reversed(numbers):
        (tmp_path / shard_name("documents", number)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / shard_name("documents", number)).touch()
    names = [path.name for path in find_shards(tmp_path, "documents")]
    assert names == [f"documents-{number:05d}.parquet" for number in numbers]
    assert all(shard_called(tmp_path, name) for name in names)
    for unknown in ("", "documents-00001.parquet", "../documents-00000.parquet", "documents-00000.parquet/x"):
        assert shard_called(tmp_path, unknown) is None
