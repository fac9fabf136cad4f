"""The WARC reader over damage of every kind: what is recovered, and what is reported."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.document import Lost
from glassmill.corpus.read.warc import Record, parse_headers, read_records

BODIES = [f"page {number} ".encode() * (20 + 7 * number) for number in range(10)]


def record(number: int, length: int | str | None = None, body: bytes | None = None, end: bytes = b"\r\n") -> bytes:
    """A response record; `length` overrides the true Content-Length, None leaves the true one."""
    body = BODIES[number] if body is None else body
    block = b"HTTP/1.1 200 OK" + end + b"Content-Type: text/html" + end + end + body
    lines = [
        b"WARC/1.0",
        b"WARC-Type: response",
        b"WARC-Target-URI: http://host.example/%d" % number,
        b"WARC-Date: 2024-05-18T01:58:10Z",
        b"Content-Type: application/http; msgtype=response",
    ]
    if length != "":
        lines.append(b"Content-Length: " + str(len(block) if length is None else length).encode())
    return end.join(lines) + end + end + block + end + end


def archive(tmp_path: Path, members: list[bytes]) -> Path:
    path = tmp_path / "test.warc.gz"
    path.write_bytes(b"".join(members))
    return path


def read(path: Path, **options: int) -> tuple[list[int], list[Lost]]:
    """Numbers of the pages that came back, and what was lost. A page that comes back must be whole."""
    found, lost = [], []
    for item in read_records(path, **options):
        if isinstance(item, Lost):
            lost.append(item)
            continue
        number = int(item.url.rsplit("/", 1)[1])
        assert item.block.endswith(BODIES[number]) or item.block.endswith(b"special"), "a shortened page was passed on"
        found.append(number)
    return found, lost


def good() -> list[bytes]:
    return [gzip.compress(record(number), mtime=0) for number in range(10)]


def without(*missing: int) -> list[int]:
    return [number for number in range(10) if number not in missing]


def damaged(change: Callable[[bytes], bytes]) -> list[bytes]:
    """Ten members, the fifth changed as compressed bytes."""
    members = good()
    members[5] = change(members[5])
    return members


def rewritten(content: bytes) -> list[bytes]:
    """Ten members, the fifth holding `content`."""
    members = good()
    members[5] = gzip.compress(content, mtime=0)
    return members


CASES = {
    "undamaged": (good(), without(), []),
    "corrupt bytes": (damaged(lambda m: m[:30] + bytes(40) + m[70:]), without(5), ["damaged gzip data"]),
    "bad checksum": (damaged(lambda m: m[:-8] + bytes(4) + m[-4:]), without(5), ["damaged gzip data"]),
    "garbage between members": (
        damaged(lambda m: b"garbage" * 5 + m),
        without(),
        ["bytes outside any gzip member: 35"],
    ),
    "garbage with a false magic": (damaged(lambda m: b"\x1f\x8b\x08 no" * 5 + m), without(), ["damaged gzip data"]),
    "zero padding": (damaged(lambda m: m + bytes(512)), without(), []),
    "member cut short": (damaged(lambda m: m[: len(m) // 2]), without(5), ["damaged gzip data"]),
    "cut inside the last record": ([*good()[:9], good()[9][:-30]], without(9), ["the file ends inside this record"]),
    "cut inside the last checksum": ([*good()[:9], good()[9][:-3]], without(9), ["the file ends inside this record"]),
    "one member for all": ([gzip.compress(b"".join(record(n) for n in range(10)))], without(), []),
    "Content-Length too long": (rewritten(record(5, 5000)), without(5), ["is wrong: 5000, but"]),
    "Content-Length absurd": (rewritten(record(5, 10**18)), without(5), ["over the limit"]),
    "Content-Length too short": (rewritten(record(5, 100)), without(5), ["does not end after 100 bytes"]),
    "Content-Length negative": (rewritten(record(5, -1)), without(5), ["invalid content-length: '-1'"]),
    "Content-Length missing": (rewritten(record(5, "")), without(5), ["no content-length"]),
    "bad version line": (rewritten(b"WORC/1.0" + record(5)[8:]), without(5), ["no WARC version line"]),
    "no version line": (rewritten(record(5)[10:]), without(5), ["no WARC version line"]),
    "header without end": (rewritten(b"WARC/1.0\r\nWARC-Type: response\r\n"), without(5), ["the header has no end"]),
    "lines end in LF": (rewritten(record(5, end=b"\n")), without(), []),
    "no line ends behind the block": (rewritten(record(5)[:-4]), without(), []),
    "header line of 1 MB": (
        rewritten(record(5)[:10] + b"X: " + b"x" * (1 << 20) + b"\r\n" + record(5)[10:]),
        without(),
        [],
    ),
    "Latin-1 in a header": (rewritten(record(5)[:10] + b"X-Name: M\xfcller\r\n" + record(5)[10:]), without(), []),
    "WARC 1.1": (rewritten(record(5).replace(b"WARC/1.0", b"WARC/1.1", 1)), without(), []),
    "bad record inside one member": (
        [gzip.compress(b"".join(record(n, 100 if n == 5 else None) for n in range(10)))],
        without(5),
        ["does not end after 100 bytes"],
    ),
    "length swallows the next records": (
        [gzip.compress(b"".join(record(n, 1500 if n == 5 else None) for n in range(10)))],
        without(5),
        ["does not end after 1500 bytes"],
    ),
    "corrupt inside one member": (
        [(lambda m: m[:-60] + bytes(8) + m[-52:])(gzip.compress(b"".join(record(n) for n in range(10))))],
        None,
        ["damaged gzip data"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_damage_costs_the_damaged_record_and_is_reported(tmp_path: Path, name: str) -> None:
    members, expected, causes = CASES[name]
    found, lost = read(archive(tmp_path, members))
    assert expected is None or found == expected
    assert len(lost) == len(causes) and all(cause in item.cause for item, cause in zip(lost, causes, strict=True))


def test_a_damaged_record_is_reported_with_its_offset_and_url(tmp_path: Path) -> None:
    members = damaged(lambda m: m[:-8] + bytes(4) + m[-4:])
    _, lost = read(archive(tmp_path, members))
    assert lost == [Lost(sum(map(len, members[:5])), lost[0].cause, "http://host.example/5")]


@given(start=st.integers(0, 3000), length=st.integers(1, 200), filling=st.binary(min_size=1, max_size=4))
def test_whatever_bytes_are_overwritten_all_others_come_back(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, filling: bytes
) -> None:
    members = good()
    data = bytearray(b"".join(members))
    start %= len(data)
    stop = min(start + length, len(data))
    data[start:stop] = (filling * 200)[: stop - start]
    path = tmp_path_factory.mktemp("warc") / "x.warc.gz"
    path.write_bytes(data)
    places = [sum(map(len, members[:number])) for number in range(11)]
    touched = [number for number in range(10) if places[number] < stop and start < places[number + 1]]
    found, lost = read(path)
    assert set(without(*touched)) <= set(found)
    assert len(found) == len(set(found))
    assert lost or len(found) == 10


@given(cut=st.integers(1, 2000))
def test_a_file_cut_anywhere_keeps_its_whole_records(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    members = good()
    data = b"".join(members)
    end = cut % len(data)
    path = tmp_path_factory.mktemp("warc") / "x.warc.gz"
    path.write_bytes(data[:end])
    places = [sum(map(len, members[: number + 1])) for number in range(10)]
    found, lost = read(path)
    assert found == [number for number in range(10) if places[number] <= end]
    assert bool(lost) == (end not in places)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty file"),
        (b"<html><body>404 not found</body></html>", "not a WARC file"),
        (b"\x04\x22\x4d\x18" + bytes(100), "damaged lz4 data"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "damaged zstd data"),
        (b"http://a.example/ no date text/html 12\n" * 9, "not a WARC file"),
        (gzip.compress(b"<html>no archive</html>", mtime=0), "no WARC version line"),
        (zlib.compress(b"WARC/1.0"), "not a WARC file"),
    ],
)
def test_what_is_no_warc_is_said_to_be_none(tmp_path: Path, content: bytes, cause: str) -> None:
    found, lost = read(archive(tmp_path, [content]))
    assert found == [] and len(lost) == 1 and lost[0].cause.startswith(cause)


def test_a_plain_file_gives_the_same_records_and_survives_a_wrong_length(tmp_path: Path) -> None:
    path = tmp_path / "plain.warc"
    path.write_bytes(b"".join(record(number) for number in range(10)))
    assert read(path) == (without(), [])
    path.write_bytes(b"".join(record(number, 90 if number == 5 else None) for number in range(10)))
    found, lost = read(path)
    assert found == without(5) and len(lost) == 1 and lost[0].url == "http://host.example/5"
    path.write_bytes(b"".join(record(number, 10**9 if number == 9 else None) for number in range(10)))
    found, lost = read(path)
    assert found == without(9) and len(lost) == 1


def test_a_record_over_the_limit_is_reported_and_not_held_in_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(record(5, body=bytes(20_000_000)))
    members = good()
    members[5] = bomb
    found, lost = read(archive(tmp_path, members), max_record_bytes=1_000_000)
    assert found == without(5)
    assert len(lost) == 1 and "over the limit of 1000000" in lost[0].cause and lost[0].url == "http://host.example/5"


def test_headers_are_read_leniently() -> None:
    head = b"WARC/1.0\r\nA: 1\r\n folded\r\na: second\r\nB:2\nno colon\r\nC : 3"
    assert parse_headers(head) == {"a": "1 folded", "b": "2", "c": "3"}
    assert parse_headers(b"WARC/1.0\r\n<p>\r\n folded\r\nA: 1\r\na: 2\r\n folded") == {"a": "1"}


def test_real_archives_give_what_fastwarc_gives_where_fastwarc_reads_to_the_end(shared_data: Path) -> None:
    fastwarc = pytest.importorskip("fastwarc.warc")
    wanted = fastwarc.WarcRecordType.response | fastwarc.WarcRecordType.conversion | fastwarc.WarcRecordType.resource
    compared = 0
    for path in sorted((shared_data / "warc").iterdir()):
        if not path.name.endswith((".warc", ".warc.gz", ".wet", ".wet.gz")):
            continue
        items = list(read_records(path))
        if any(isinstance(item, Lost) for item in items):
            continue
        ours = [(item.url, len(item.block)) for item in items if isinstance(item, Record)]
        with path.open("rb") as file:
            theirs = [
                (str(one.headers.get("WARC-Target-URI", "")).strip("<> "), one.content_length)
                for one in fastwarc.ArchiveIterator(file, record_types=wanted, parse_http=False)
            ]
        assert ours == theirs, path.name
        compared += 1
    assert compared > 12


def test_damaged_real_archives_are_reported(shared_data: Path) -> None:
    def causes(name: str) -> list[str]:
        return [item.cause for item in read_records(shared_data / "warc" / name) if isinstance(item, Lost)]

    assert causes("clipped.warc.gz") == ["the file ends inside this record"]
    assert causes("example-trunc.warc") == ["content-length is wrong: the record does not end after 973 bytes"]
    assert causes("example-space-in-url.arc") == ["content-length is wrong: 1591, but 1579 bytes follow"]
