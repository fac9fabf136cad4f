"""Zip and tar archives: their members, one after the other, never unpacked to a path that they choose.

In: an archive. Out: name, offset and content of each file in it. An archive is refused whole, before anything of it
is read, if a member's name points outside it (`../x`, `/etc/x`, `C:\\x`), if its stated size exceeds the limits, if it
or a member would expand more than `max_ratio` times, or if members share bytes (Fifield 2019, "A better zip bomb"). A
member that lies about its size is cut off while it is read. Links and devices in an archive are not files: each is
reported and not followed.
"""

from __future__ import annotations

import contextlib
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from glassmill.errors import RefusedError, UnreadableError
from glassmill.recipe import FilesSettings

CHUNK = 1 << 20
SMALL = 1 << 20
"""A member of at most this many bytes is harmless, whatever its ratio; an archive of 64 times as many."""
LOCAL_HEADER_BYTES = 30
_DRIVE = re.compile(r"[A-Za-z]:")
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What reading a bad archive raises; the last two are zipfile's for an unknown compression method and a password."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its content opened for reading, or why it is not read."""

    name: str
    offset: int
    size: int
    file: IO[bytes] | None
    cause: str = ""


def leads_out(name: str) -> bool:
    """Whether a member of this name would be written outside the folder it is unpacked in."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or bool(_DRIVE.match(plain)) or ".." in plain.split("/") or "\0" in plain


def open_zip(file: Path | IO[bytes], limits: FilesSettings) -> zipfile.ZipFile:
    """A zip file whose list of contents was looked at.

    Raises:
        RefusedError: see `check_zip`.
        BadZipFile: it is none; and others of `DAMAGE`.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            _check_directory(opened, limits)
    else:
        _check_directory(file, limits)
    archive = zipfile.ZipFile(file)
    try:
        check_zip(archive, limits)
    except RefusedError:
        archive.close()
        raise
    return archive


def _check_directory(file: IO[bytes], limits: FilesSettings) -> None:
    """Counts the entries in the list of contents before zipfile makes an object of each; the stated count may lie."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end:
        size, place = end[5], end[9]
        file.seek(max(0, place - size - 76))  # what zip64 has between them
        entries, tail = 0, b""
        while (piece := file.read(CHUNK)) and entries <= limits.max_members:
            entries += (tail + piece).count(b"PK\x01\x02")
            tail = piece[-3:]  # too short for a whole mark, so none counts twice
        if entries > limits.max_members:
            raise RefusedError(f"refused: more than {limits.max_members:,} members")
    file.seek(0)


def check_zip(archive: zipfile.ZipFile, limits: FilesSettings) -> None:
    """Looks at the list of contents.

    Raises:
        RefusedError: a name leads out, members overlap, or it holds more than `limits` allow.
    """
    members = archive.infolist()
    total = end = 0
    for member in sorted(members, key=lambda one: one.header_offset):
        if member.header_offset < end:
            raise RefusedError(f"refused: {member.filename!r} shares bytes with another member")
        end = member.header_offset + LOCAL_HEADER_BYTES + member.compress_size
        _check_name(member.filename)
        total += member.file_size
        if total > limits.max_unpacked_bytes:
            raise RefusedError(f"refused: unpacks to more than {limits.max_unpacked_bytes:,} bytes")
        if member.file_size > SMALL and member.file_size > limits.max_ratio * max(member.compress_size, 1):
            raise RefusedError(
                f"refused: {member.filename!r} expands {member.file_size // max(member.compress_size, 1):,} times,"
                f" over the limit of {limits.max_ratio:g}"
            )
    packed = sum(member.compress_size + LOCAL_HEADER_BYTES for member in members)
    if total > 64 * SMALL and total > limits.max_ratio * packed:
        raise RefusedError(f"refused: expands more than {limits.max_ratio:g} times")


def read_member(archive: zipfile.ZipFile, name: str, limits: FilesSettings, most: int = 64 << 20) -> bytes:
    """One member whole.

    Raises:
        KeyError: there is none of that name.
        UnreadableError: damaged, locked, or larger than `most` bytes.
    """
    info = archive.getinfo(name)
    if info.file_size > most:
        raise UnreadableError(f"{name!r} of {info.file_size:,} bytes, over the limit of {most:,}")
    try:
        with archive.open(info) as file:
            return file.read(most)
    except DAMAGE as error:
        raise UnreadableError(f"{name!r}: {error}") from None


def members_of(path: Path, limits: FilesSettings) -> Iterator[Member]:
    """The files in a zip or tar archive, in its order.

    Raises:
        UnreadableError: not an archive, or damaged: what came before the damage has been yielded.
        RefusedError: see the module.
    """
    try:
        yield from _zip_members(path, limits) if zipfile.is_zipfile(path) else _tar_members(path, limits)
    except DAMAGE as error:
        raise UnreadableError(f"damaged archive: {error}") from None


def why_refused(path: Path, limits: FilesSettings) -> str:
    """Why nothing of the archive at `path` can be read; empty where its first member can."""
    try:
        next(members_of(path, limits), None)
    except (UnreadableError, RefusedError) as error:
        return str(error)
    return ""


def _zip_members(path: Path, limits: FilesSettings) -> Iterator[Member]:
    with open_zip(path, limits) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.external_attr >> 28 == 0o12:
                yield Member(info.filename, info.header_offset, 0, None, "a link inside an archive")
            elif info.flag_bits & 1:
                yield Member(info.filename, info.header_offset, info.file_size, None, "locked with a password")
            else:
                try:
                    file = archive.open(info)
                except DAMAGE as error:
                    yield Member(info.filename, info.header_offset, info.file_size, None, f"damaged member: {error}")
                    continue
                with file:
                    yield Member(info.filename, info.header_offset, info.file_size, file)


def _tar_members(path: Path, limits: FilesSettings) -> Iterator[Member]:
    _check_tar(path, limits)
    with _open_tar(path) as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # as below
            if info.isdir():
                continue
            file = archive.extractfile(info) if info.isreg() else None
            if file is None:
                kind = "a link" if info.issym() or info.islnk() else "a device"
                yield Member(info.name, info.offset, 0, None, f"{kind} inside an archive")
                continue
            with file:
                yield Member(info.name, info.offset, info.size, file)
        _read_out(archive, limits.max_unpacked_bytes)


def _read_out(archive: tarfile.TarFile, most: int) -> None:
    """Reads on to the end of the file, where the checksum of a compressed one is."""
    while archive.fileobj and (piece := archive.fileobj.read(CHUNK)):
        most -= len(piece)
        if most < 0:
            raise RefusedError("refused: it continues after its last member")


def _check_tar(path: Path, limits: FilesSettings) -> None:
    """A pass over the headers alone. The ratio is the archive's: one stream is compressed, not its members."""
    packed = path.stat().st_size
    with _open_tar(path) as archive:
        for number, info in enumerate(archive):
            _check_name(info.name)
            if number >= limits.max_members:
                raise RefusedError(f"refused: more than {limits.max_members:,} members")
            end = info.offset_data + info.size
            if end > limits.max_unpacked_bytes:
                raise RefusedError(f"refused: unpacks to more than {limits.max_unpacked_bytes:,} bytes")
            if end > SMALL and end > limits.max_ratio * packed:
                raise RefusedError(f"refused: expands more than {limits.max_ratio:g} times")
            archive.members = []  # type: ignore[attr-defined]  # tarfile remembers every header; a million of them is much memory


@contextmanager
def _open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        archive = tarfile.open(path, "r:*")  # noqa: SIM115 (closed below)
    except tarfile.ReadError as error:
        raise UnreadableError(f"not an archive: {str(error).partition(chr(10))[0]}") from None
    with contextlib.closing(archive):
        yield archive


def _check_name(name: str) -> None:
    if leads_out(name):
        raise RefusedError(f"refused: member {name!r} points outside the archive")


@contextmanager
def unpacked(member: Member, limits: FilesSettings, head: bytes = b"") -> Iterator[Path]:
    """The member as a file of its own, under a name that we choose. `head` was read from it already.

    Raises:
        UnreadableError: larger than the limits, or damaged.
    """
    assert member.file is not None
    with tempfile.TemporaryDirectory(prefix="glassmill-") as folder:
        path = Path(folder) / "member"
        left = min(limits.max_unpacked_bytes, member.size) - len(head)
        try:
            with path.open("wb") as out:
                out.write(head)
                while left >= 0 and (piece := member.file.read(min(CHUNK, left + 1))):
                    left -= len(piece)
                    out.write(piece)
        except DAMAGE as error:
            raise UnreadableError(f"damaged member: {error}") from None
        if left < 0:
            raise UnreadableError("member longer than the archive states")
        yield path
