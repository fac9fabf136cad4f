"""Files that hold files: archives, compressed files, mailboxes, letters with attachments.

In: a file and its place. Out: what the files in it give, each read as its kind, and `Lost` for those that are not.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from glassmill.corpus.document import Page
from glassmill.corpus.read.files import mail
from glassmill.corpus.read.files.archives import CHUNK, DAMAGE, SMALL, Member, members_of, unpacked
from glassmill.corpus.read.files.kinds import OTHER, SAMPLE, kind_of, kind_of_name, kind_of_start, unsupported
from glassmill.corpus.read.files.places import Bounds, Items, Place
from glassmill.errors import RefusedError, UnreadableError

_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))


def _archive(path: Path, place: Place, bounds: Bounds) -> Items:
    for member in members_of(path, bounds.files):
        if not any(part.startswith(".") or part == "__MACOSX" for part in member.name.split("/")):
            yield from _member(member, place.inside(member.name, member.offset), bounds)


def _member(member: Member, place: Place, bounds: Bounds) -> Items:
    try:
        if member.cause or member.file is None:
            yield place.lost(member.cause)
            return
        kind, head = kind_of_name(member.name), b""
        if kind == OTHER:
            head = _head(member.file)
            kind = kind_of_start(head, member.name)
        if kind == OTHER:
            yield place.lost(unsupported(member.name) if member.size else "empty file")
            return
        with unpacked(member, bounds.files, head) as path:
            yield from bounds.read(path, kind, place, bounds)
    except UnreadableError as error:
        yield place.lost(str(error))


def _head(file: IO[bytes]) -> bytes:
    try:
        return file.read(SAMPLE)
    except DAMAGE as error:
        raise UnreadableError(f"damaged member: {error}") from None


def _packed(path: Path, place: Place, bounds: Bounds) -> Items:
    """A single file that was compressed: `changelog.gz` is read as `changelog`."""
    with _unpacked_alone(path, bounds) as alone:
        name = place.name.rpartition(".")[0]
        kind = kind_of_name(name)
        kind = kind_of(alone) if kind == OTHER else kind
        if kind == OTHER:
            yield place.lost(unsupported(name))
        else:
            yield from bounds.read(alone, kind, replace(place, depth=place.depth + 1), bounds)


@contextmanager
def _unpacked_alone(path: Path, bounds: Bounds) -> Iterator[Path]:
    """The content as a file, cut off where it exceeds the limits of an archive.

    Raises:
        UnreadableError: damaged.
        RefusedError: it expands too much.
    """
    with path.open("rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
    if opener is None:
        raise UnreadableError("not compressed as its name says")
    most = min(bounds.files.max_unpacked_bytes, max(SMALL, int(bounds.files.max_ratio * path.stat().st_size)))
    with tempfile.TemporaryDirectory(prefix="glassmill-") as folder:
        alone = Path(folder) / "member"
        try:
            with cast("IO[bytes]", opener(path)) as packed, alone.open("wb") as out:
                while piece := packed.read(CHUNK):
                    most -= len(piece)
                    if most < 0:
                        raise RefusedError(f"refused: expands more than {bounds.files.max_ratio:g} times")
                    out.write(piece)
        except (*DAMAGE, lzma.LZMAError) as error:
            raise UnreadableError(f"damaged compressed data: {error}") from None
        yield alone


def _mailbox(path: Path, place: Place, bounds: Bounds) -> Items:
    for number, (offset, content) in enumerate(mail.mbox_letters(path, bounds.max_bytes)):
        one = replace(place, name=f"{place.name}#{number}", offset=place.offset + offset)
        if content is None:
            yield one.lost(f"letter too large: over the limit of {bounds.max_bytes} bytes")
            continue
        try:
            yield from _letter(mail.letter_of(content), one, bounds)
        except UnreadableError as error:
            yield one.lost(str(error))


def _eml(path: Path, place: Place, bounds: Bounds) -> Items:
    size = path.stat().st_size
    if size > bounds.max_bytes:
        raise UnreadableError(f"file too large: {size} bytes, over the limit of {bounds.max_bytes}")
    yield from _letter(mail.letter_of(path.read_bytes()), place, bounds)


def _msg(path: Path, place: Place, bounds: Bounds) -> Items:
    yield from _letter(mail.letter_of_outlook(path), place, bounds)


def _letter(letter: mail.Letter, place: Place, bounds: Bounds) -> Items:
    body = letter.text.encode("utf-8", "replace")
    yield Page(place.name, body, place.source, place.offset, "text", "text/plain", "utf-8")
    for member in letter.attached:
        yield from _member(member, place.inside(member.name, place.offset), bounds)


CONTAINED: dict[str, Callable[[Path, Place, Bounds], Items]] = {
    "archive": _archive,
    "packed": _packed,
    "mbox": _mailbox,
    "eml": _eml,
    "msg": _msg,
}
"""Kinds of files that hold others, and their readers."""
