"""Archives in every form, packed frame by frame: gzip, zstd with and without a dictionary, LZ4, plain; WARC and ARC."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tests.corpus.test_warc import record

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHECKED = {zstd.CompressionParameter.checksum_flag: 1}
DICTIONARY_FRAME, EXTENSION_FRAME = b"\x5d\x2a\x4d\x18", b"\x50\x2a\x4d\x18"

Pack = Callable[[bytes], bytes]


def zstd_frame(content: bytes, dictionary: Any = None) -> bytes:
    return zstd.compress(content, options=CHECKED, zstd_dict=dictionary)


def lz4_frame(content: bytes) -> bytes:
    from fastwarc.stream_io import Lz4Writer

    out = io.BytesIO()
    writer = Lz4Writer(out)
    writer.write(content)
    writer.flush()
    packed = out.getvalue()
    writer.close()
    return out.getvalue() if not out.closed else packed


def skippable(magic: bytes, content: bytes) -> bytes:
    return magic + len(content).to_bytes(4, "little") + content


@cache
def dictionary(seed: int = 0) -> Any:
    """A dictionary trained on records."""
    return zstd.train_dict(
        [record(number % 10, body=b"%d sample " % (number + seed) * 9) for number in range(200)], 4096
    )


def dictionary_frame(packed: bool, seed: int = 0) -> bytes:
    content = dictionary(seed).dict_content
    return skippable(DICTIONARY_FRAME, zstd_frame(content) if packed else content)


def pack(form: str, frames: Iterable[bytes]) -> bytes:
    """The frames' contents as a file of that form."""
    if form == "zstd with a dictionary":
        return dictionary_frame(True) + b"".join(zstd_frame(frame, dictionary()) for frame in frames)
    packers: dict[str, Pack] = {
        "gzip": lambda content: gzip.compress(content, mtime=0),
        "zstd": zstd_frame,
        "lz4": lz4_frame,
        "plain": lambda content: content,
    }
    return b"".join(map(packers[form], frames))


def arc_record(number: int, body: bytes, length: int | str | None = None, fields: str = "text/html") -> bytes:
    """A document of an ARC file; `fields` are those between date and length."""
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    size = len(block) if length is None else length
    return f"http://host.example/{number} 192.0.2.7 20010203040506 {fields} {size}\n".encode() + block + b"\n"


def arc_head(version: str = "1 0 Alexa", names: str = "Content-type", extra: bytes = b"", ends: int = 1) -> bytes:
    """The first record of an ARC file; how many of its line ends count differs from writer to writer."""
    block = f"{version}\nURL IP-address Archive-date {names} Archive-length".encode() + b"\n" * ends + extra
    return (
        b"filedesc://test.arc 0.0.0.0 20010203040506 text/plain %d\n" % len(block) + block + b"\n" * (2 - ends) + b"\n"
    )
