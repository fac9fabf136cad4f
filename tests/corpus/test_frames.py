"""WARC and ARC files in every packing: what goes in comes out, damage costs a frame and is told, bombs are bounded."""

from __future__ import annotations

import gzip
import itertools
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.corpus.read.warc import Record, read_records
from tests.corpus.archives import (
    DICTIONARY_FRAME,
    EXTENSION_FRAME,
    arc_head,
    arc_record,
    dictionary,
    dictionary_frame,
    pack,
    skippable,
    zstd_frame,
)
from tests.corpus.test_warc import BODIES, read, record, without

FORMS = ["gzip", "zstd", "zstd with a dictionary", "lz4", "plain"]
WARC = [record(number) for number in range(10)]
ARC = [arc_head(), *(arc_record(number, BODIES[number]) for number in range(10))]
ZSTD = [zstd_frame(one) for one in WARC]
LZ4 = [pack("lz4", [one]) for one in WARC]
ARC_GZIP = [gzip.compress(one, mtime=0) for one in ARC]
ARC_PLAIN = ARC


def written(folder: Path, content: bytes) -> Path:
    path = folder / "archive"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("records", [WARC, ARC], ids=["WARC", "ARC"])
@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, 6000), max_size=40), empty=st.booleans())
def test_what_goes_into_frames_comes_out_wherever_frames_are_cut(
    tmp_path_factory: pytest.TempPathFactory, form: str, records: list[bytes], cuts: list[int], empty: bool
) -> None:
    whole = b"".join(records)
    places = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
    frames = [whole[begin:end] for begin, end in itertools.pairwise(places)]
    if empty:
        frames = [piece for frame in frames for piece in (frame, b"")]
    path = written(tmp_path_factory.mktemp("frames"), pack(form, frames))
    assert read(path) == (without(), [])


def changed(members: list[bytes], number: int, content: bytes) -> bytes:
    return b"".join([*members[:number], content, *members[number + 1 :]])


def with_(members: list[bytes], number: int, extra: bytes) -> bytes:
    return changed(members, number, extra + members[number])


FIFTH = ZSTD[5]
WITH_DICTIONARY = [zstd_frame(one, dictionary()) for one in WARC]
OTHER_DICTIONARY = dictionary_frame(False, 7) + b"".join(zstd_frame(one, dictionary(7)) for one in WARC[5:])
HEAD = dictionary_frame(True)
LARGE_WINDOW = b"\x28\xb5\x2f\xfd\x04" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"

CASES: dict[str, tuple[bytes, list[int], list[str]]] = {
    # zstd
    "corrupt bytes": (changed(ZSTD, 5, FIFTH[:30] + bytes(40) + FIFTH[70:]), without(5), ["damaged zstd data"]),
    "bad checksum": (changed(ZSTD, 5, FIFTH[:-4] + bytes(4)), without(5), ["doesn't match checksum"]),
    "garbage between frames": (with_(ZSTD, 5, b"garbage" * 5), without(), ["bytes outside any zstd frame: 35"]),
    "garbage before the first frame": (b"garbage" * 5 + b"".join(ZSTD), without(), ["bytes outside any zstd"]),
    "a false magic in garbage": (with_(ZSTD, 5, FIFTH[:4] + b"\xff" * 20), without(), ["damaged zstd data"]),
    "a magic with a bad byte": (changed(ZSTD, 5, b"\x29" + FIFTH[1:]), without(5), ["bytes outside any zstd frame"]),
    "zero padding": (with_(ZSTD, 5, bytes(512)), without(), []),
    "frame cut short": (changed(ZSTD, 5, FIFTH[: len(FIFTH) // 2]), without(5), ["damaged zstd data"]),
    "file cut in the last frame": (b"".join(ZSTD)[:-30], without(9), ["the file ends inside this record"]),
    "file cut in the last checksum": (b"".join(ZSTD)[:-2], without(9), ["the file ends inside this record"]),
    "file cut in the last magic": (b"".join(ZSTD[:9]) + FIFTH[:3], without(9), ["bytes outside any zstd frame: 3"]),
    "wrong length in the fifth": (
        changed(ZSTD, 5, zstd_frame(record(5, 100))),
        without(5),
        ["does not end after 100 bytes"],
    ),
    "length reaches into the next": (changed(ZSTD, 5, zstd_frame(record(5, 900))), without(5), ["is wrong: 900, but"]),
    "extension frames": (with_(ZSTD, 5, skippable(EXTENSION_FRAME, b"what") * 2), without(), []),
    "extension frame that swallows": (
        with_(ZSTD, 5, EXTENSION_FRAME + (len(FIFTH) + 9).to_bytes(4, "little")),
        without(),
        ["skippable frame without a frame after it"],
    ),
    "window of 2 GB": (with_(ZSTD, 5, LARGE_WINDOW), without(), ["too much memory"]),
    # its dictionary
    "dictionary": (dictionary_frame(False) + b"".join(WITH_DICTIONARY), without(), []),
    "packed dictionary": (HEAD + b"".join(WITH_DICTIONARY), without(), []),
    "damage with a dictionary": (HEAD + changed(WITH_DICTIONARY, 5, WITH_DICTIONARY[5][:-9]), without(5), ["damaged"]),
    "two files joined": (HEAD + b"".join(WITH_DICTIONARY[:5]) + OTHER_DICTIONARY, without(), []),
    "two files joined behind damage": (
        HEAD + b"".join(WITH_DICTIONARY[:4]) + WITH_DICTIONARY[4][:-9] + OTHER_DICTIONARY,
        without(4),
        ["damaged zstd data"],
    ),
    "no dictionary": (b"".join(WITH_DICTIONARY), [], ["dictionary mismatch); nothing readable in the last"]),
    "damaged dictionary": (
        skippable(DICTIONARY_FRAME, b"\x37\xa4\x30\xec" + bytes(60)) + b"".join(WITH_DICTIONARY),
        [],
        ["damaged dictionary"],
    ),
    "damaged packed dictionary": (HEAD[:90] + bytes(9) + HEAD[99:] + b"".join(WITH_DICTIONARY), [], ["damaged dict"]),
    # LZ4, which has no checksum as FastWARC writes it
    "lz4: garbage between": (with_(LZ4, 5, b"garbage" * 5), without(), ["bytes outside any lz4 frame: 35"]),
    "lz4: frame cut short": (changed(LZ4, 5, LZ4[5][:60]), without(5), [""]),
    "lz4: file cut": (b"".join(LZ4)[:-2], without(9), ["the file ends inside this record"]),
    "lz4: wrong length": (changed(LZ4, 5, pack("lz4", [record(5, 100)])), without(5), ["does not end after 100 bytes"]),
    # ARC
    "arc: corrupt bytes": (
        changed(ARC_GZIP, 6, ARC_GZIP[6][:40] + bytes(9) + ARC_GZIP[6][49:]),
        without(5),
        ["damaged"],
    ),
    "arc: bad checksum": (
        changed(ARC_GZIP, 6, ARC_GZIP[6][:-8] + bytes(4) + ARC_GZIP[6][-4:]),
        without(5),
        ["damaged"],
    ),
    "arc: head damaged": (changed(ARC_GZIP, 0, ARC_GZIP[0][:-9] + bytes(9)), without(), ["damaged gzip data"]),
    "arc: file cut": (b"".join(ARC_GZIP)[:-30], without(9), ["the file ends inside this record"]),
    "arc: length too short": (
        changed(ARC, 6, arc_record(5, BODIES[5], 99)),
        without(5),
        ["does not end after 99 bytes"],
    ),
    "arc: length too long": (
        changed(ARC, 6, arc_record(5, BODIES[5], 900)),
        without(5),
        ["does not end after 900 bytes"],
    ),
    "arc: length absurd": (changed(ARC, 6, arc_record(5, BODIES[5], 10**18)), without(5), ["over the limit"]),
    "arc: length of 5,000 digits": (changed(ARC, 6, arc_record(5, BODIES[5], "9" * 5000)), without(5), ["over the"]),
    "arc: length negative": (
        changed(ARC, 6, arc_record(5, BODIES[5], -5)),
        without(5),
        ["invalid content-length: '-5'"],
    ),
    "arc: no length": (changed(ARC, 6, arc_record(5, BODIES[5], "")), without(5), ["invalid content-length"]),
    "arc: last length too long": (changed(ARC, 10, arc_record(9, BODIES[9], 900)), without(9), ["is wrong: 900, but"]),
    "arc: header line damaged": (changed(ARC, 6, b"http:" + ARC[6]), None, []),  # another URL, but a record
    "arc: header line lost": (
        changed(ARC, 6, ARC[6].partition(b"\n")[2]),
        without(4, 5),
        ["the record does not end after"],
    ),
    "arc: no line end behind": (changed(ARC, 6, ARC[6][:-1]), without(), []),
    "arc: several line ends behind": (changed(ARC, 6, ARC[6] + b"\n\r\n"), without(), []),
    "arc: packed, header line lost": (
        changed(ARC_GZIP, 6, gzip.compress(ARC[6].partition(b"\n")[2])),
        without(5),
        ["no WARC version line"],
    ),
    "arc: without its head": (b"".join(ARC[1:]), without(), []),
    "arc: two files joined": (
        b"".join(ARC[:6]) + arc_head("1 1 Heritrix", extra=b"<a/>\n") + b"".join(ARC[6:]),
        without(),
        [],
    ),
    "arc: joined with a WARC": (b"".join(ARC_GZIP[:6]) + b"".join(map(gzip.compress, WARC[5:])), without(), []),
}


@pytest.mark.parametrize("name", CASES)
def test_damage_costs_the_damaged_frame_and_is_reported(tmp_path: Path, name: str) -> None:
    content, expected, causes = CASES[name]
    found, lost = read(written(tmp_path, content))
    assert expected is None or found == expected
    assert len(lost) == len(causes) and all(cause in item.cause for item, cause in zip(lost, causes, strict=True)), lost


FILES = {
    "zstd": (ZSTD, list(range(10))),
    "zstd with a dictionary": ([HEAD, *WITH_DICTIONARY], [None, *range(10)]),
    "arc.gz": (ARC_GZIP, [None, *range(10)]),
}


@pytest.mark.parametrize("form", FILES)
@settings(max_examples=30)
@given(start=st.integers(0, 9999), length=st.integers(1, 200), filling=st.binary(min_size=1, max_size=4).filter(any))
def test_whatever_bytes_are_overwritten_all_other_frames_come_back(
    tmp_path_factory: pytest.TempPathFactory, form: str, start: int, length: int, filling: bytes
) -> None:
    frames, numbers = FILES[form]
    data = bytearray(b"".join(frames))  # zeros are no filling: whole frames of them may be padding
    low = len(HEAD) if frames[0] is HEAD else 0  # without the dictionary nothing can be read
    start = low + start % (len(data) - low)
    stop = min(start + length, len(data))
    data[start:stop] = (filling * 200)[: stop - start]
    places = list(itertools.accumulate(map(len, frames), initial=0))
    touched = {
        number
        for number, (begin, end) in zip(numbers, itertools.pairwise(places), strict=True)
        if begin < stop and start < end
    }
    found, lost = read(written(tmp_path_factory.mktemp("frames"), bytes(data)))
    assert set(range(10)) - touched <= set(found) and len(found) == len(set(found))
    assert lost or len(found) == 10


@pytest.mark.parametrize("form", FILES)
@settings(max_examples=30)
@given(cut=st.integers(0, 9999))
def test_a_file_cut_anywhere_keeps_its_whole_frames(
    tmp_path_factory: pytest.TempPathFactory, form: str, cut: int
) -> None:
    frames, numbers = FILES[form]
    data = b"".join(frames)
    end = 1 + cut % (len(data) - 1)
    places = list(itertools.accumulate(map(len, frames)))
    found, lost = read(written(tmp_path_factory.mktemp("frames"), data[:end]))
    assert found == [
        number for number, place in zip(numbers, places, strict=True) if place <= end and number is not None
    ]
    assert bool(lost) == (end not in places)


def test_a_report_names_offset_cause_url_and_where_reading_goes_on(tmp_path: Path) -> None:
    begin, end = sum(map(len, ZSTD[:5])), sum(map(len, ZSTD[:6]))
    lost = read(written(tmp_path, CASES["bad checksum"][0]))[1][0]
    assert (lost.offset, lost.url) == (begin, "http://host.example/5")
    assert lost.cause.endswith(f"; reading continues at {end}")
    lost = read(written(tmp_path, CASES["arc: corrupt bytes"][0]))[1][0]
    assert lost.offset == sum(map(len, ARC_GZIP[:6]))
    lost = read(written(tmp_path, CASES["arc: length too short"][0]))[1][0]
    assert (lost.offset, lost.url) == (sum(map(len, ARC[:6])), "http://host.example/5")


def rle_bomb(blocks: int) -> bytes:
    """A zstd frame of blocks of 4 bytes that become 128 KB each (RFC 8878, 3.1.1.2.2), with a window of 16 MB."""
    block = (2 | 131_072 << 3).to_bytes(3, "little") + b" "
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(24 - 10) << 3]) + block * blocks + b"\x01\x00\x00"


BOMBS = {
    "zstd": (ZSTD, rle_bomb(100_000)),  # 400 kB that would become 13 GB
    "gzip": ([gzip.compress(one, mtime=0) for one in WARC], gzip.compress(bytes(300_000_000), 1)),
}


@pytest.mark.parametrize("form", BOMBS)
def test_a_frame_that_grows_without_end_is_left_soon(tmp_path: Path, form: str) -> None:
    frames, bomb = BOMBS[form]
    begin = resource.getrusage(resource.RUSAGE_SELF)
    found, lost = read(written(tmp_path, changed(frames, 5, bomb)))
    end = resource.getrusage(resource.RUSAGE_SELF)
    assert found == without(5)
    assert [item.cause.partition(" ")[0] for item in lost] == ["no", str(lost[1].cause.partition(" ")[0])]
    assert "expands without a record" in lost[1].cause and lost[1].offset == sum(map(len, frames[:5]))
    assert end.ru_maxrss - begin.ru_maxrss < 400_000


@pytest.mark.parametrize("form", ["zstd", "lz4"])
def test_records_are_those_that_fastwarc_gives(tmp_path: Path, form: str) -> None:
    fastwarc = pytest.importorskip("fastwarc.warc")
    path = written(tmp_path, pack(form, WARC))
    ours = [(item.url, len(item.block)) for item in read_records(path) if isinstance(item, Record)]
    with path.open("rb") as file:
        theirs = [
            (str(one.headers["WARC-Target-URI"]), one.content_length)
            for one in fastwarc.ArchiveIterator(file, parse_http=False)
        ]
    assert ours == theirs and len(ours) == 10
