"""Writing pages to WARC files and reading them back: one gzip member per record, a new file when one is full.

In: responses. Out: `<prefix>-00000.warc.gz`, ... (WARC 1.1, ISO 28500). Every record is flushed, so a killed crawl
loses at most the current page; an incomplete member at the end is cut off when the folder is opened again. Stored
pages can be read back by URL.
"""

from __future__ import annotations

import gzip
import os
import uuid
import zlib
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from glassmill.corpus.document import Lost
from glassmill.corpus.read.http import Response, parse_response
from glassmill.corpus.read.warc import Record, read_records

BYTES_PER_FILE = 1 << 30
Headers = Iterable[tuple[bytes, bytes]]


class WarcFolder:
    """The WARC files of one crawl in `folder`; files of earlier calls are kept and appended to."""

    def __init__(self, folder: Path, prefix: str = "crawl", software: str = "glassmill") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.prefix, self.software = folder, prefix, software
        self.places: dict[str, tuple[Path, int]] = {}
        self._file: IO[bytes] | None = None
        for path in sorted(folder.glob(f"{prefix}-*.warc.gz")):
            _cut_off_half_member(path)
            for record in read_records(path) if path.stat().st_size else ():
                if isinstance(record, Record):
                    self.places.setdefault(record.url, (path, record.offset))

    def write(self, url: str, status: int, headers: Headers, body: bytes, address: str = "") -> None:
        """Writes one response record; it is on disk when this returns."""
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in _honest(headers, body))
        block = b"HTTP/1.1 %d OK\r\n%s\r\n%s" % (status, lines, body)
        fields = {"WARC-Type": "response", "WARC-Target-URI": url, "WARC-IP-Address": address}
        path, offset = self._append(fields, "application/http; msgtype=response", block)
        self.places.setdefault(url, (path, offset))

    def read(self, url: str) -> Response | None:
        """The stored response for `url`, if any."""
        place = self.places.get(url)
        if place is None:
            return None
        block = (_inflated(*place) or b"").partition(b"\r\n\r\n")[2]
        return parse_response(block.removesuffix(b"\r\n\r\n")) if block else None

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _append(self, fields: dict[str, str], media_type: str, block: bytes) -> tuple[Path, int]:
        file = self._open()
        offset = file.tell()
        file.write(_member(fields, media_type, block))
        file.flush()
        os.fsync(file.fileno())
        return Path(file.name), offset

    def _open(self) -> IO[bytes]:
        if self._file and self._file.tell() < BYTES_PER_FILE:
            return self._file
        self.close()
        number = len(list(self.folder.glob(f"{self.prefix}-*.warc.gz")))
        path = self.folder / f"{self.prefix}-{number:05d}.warc.gz"
        self._file = path.open("xb")
        info = f"software: {self.software}\r\nformat: WARC File Format 1.1\r\n".encode()
        fields = {"WARC-Type": "warcinfo", "WARC-Filename": path.name}
        self._file.write(_member(fields, "application/warc-fields", info))
        return self._file


def _member(fields: dict[str, str], media_type: str, block: bytes) -> bytes:
    head = {
        **{name: value for name, value in fields.items() if value},
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid4()}>",
        "WARC-Date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Content-Type": media_type,
        "Content-Length": str(len(block)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return gzip.compress(f"WARC/1.1\r\n{lines}\r\n".encode("utf-8", "replace") + block + b"\r\n\r\n")


def _honest(headers: Headers, body: bytes) -> Iterable[tuple[bytes, bytes]]:
    """The headers without those that are wrong for the body as stored."""
    for name, value in headers:
        if name.lower() not in (b"content-length", b"transfer-encoding", b"content-encoding"):
            yield name, value.replace(b"\r", b" ").replace(b"\n", b" ")
    yield b"Content-Length", b"%d" % len(body)


def _cut_off_half_member(path: Path) -> None:
    """Removes the incomplete member that a crash in the middle of a write leaves at the end."""
    for last in deque(read_records(path) if path.stat().st_size else (), maxlen=1):
        if isinstance(last, Lost) and _inflated(path, last.offset) is None:
            with path.open("r+b") as file:
                file.truncate(last.offset)


def _inflated(path: Path, offset: int) -> bytes | None:
    """The content of the gzip member at `offset`; None if the file ends before it does."""
    inflate, pieces = zlib.decompressobj(31), []
    with path.open("rb") as file:
        file.seek(offset)
        while not inflate.eof and (piece := file.read(1 << 16)):
            try:
                pieces.append(inflate.decompress(piece))
            except zlib.error:
                return b""  # damage of another kind
    return b"".join(pieces) if inflate.eof else None
