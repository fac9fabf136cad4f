"""XML in zip files, as office formats have it: opened and parsed within limits, without entities and outside files."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element  # a name for the types; parsing is defusedxml's

from glassmill.corpus.read.files.archives import open_zip, read_member
from glassmill.errors import RefusedError, UnreadableError
from glassmill.recipe import FilesSettings

MAX_TAGS = 2_000_000
"""A document of 3,000 pages has about a million."""
RELATIONSHIPS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
R_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@contextmanager
def opened(file: IO[bytes] | Path, kind: str, limits: FilesSettings) -> Iterator[zipfile.ZipFile]:
    """A zip file whose list of contents is within the limits.

    Raises:
        UnreadableError: not a zip file, which an office file with a password is not.
        RefusedError: it unpacks to more than `limits` allow.
    """
    try:
        archive = open_zip(file, limits)
    except (UnreadableError, RefusedError):
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:  # the last: of a newer zip version
        start = _start(file)
        locked = start.startswith(b"\xd0\xcf\x11\xe0")
        article = "an" if kind[0] in "EOX" else "a"
        raise UnreadableError(
            f"{kind} with a password, or in an old format" if locked else f"not {article} {kind} file: {error}"
        ) from None
    with archive:
        yield archive


def _start(file: IO[bytes] | Path) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as opened_file:
            return opened_file.read(8)
    file.seek(0)
    return file.read(8)


def parsed(archive: zipfile.ZipFile, name: str, limits: FilesSettings) -> Element:
    """The root of an XML member.

    Raises:
        UnreadableError: missing, too large, or invalid XML.
        RefusedError: its tree would take hundreds of megabytes.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        content = read_member(archive, name, limits)
    except KeyError:
        raise UnreadableError(f"{name or 'package document'} is missing") from None
    if content.count(b"<") > MAX_TAGS or content.count(b"=") > MAX_TAGS:
        raise RefusedError(f"refused: more than {MAX_TAGS:,} tags or attributes in {name}")
    try:
        root: Element = fromstring(content)
        return root
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UnreadableError(f"invalid XML in {name}: {str(error) or type(error).__name__}"[:200]) from None


def related(archive: zipfile.ZipFile, part: str, limits: FilesSettings) -> dict[str, tuple[str, str]]:
    """What an OOXML part refers to: id -> (last word of the type, member)."""
    folder, name = posixpath.split(part)
    place = f"{folder}/_rels/{name}.rels"
    if place not in archive.NameToInfo:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for one in parsed(archive, place, limits).iter(f"{RELATIONSHIPS}Relationship"):
        target = one.get("Target", "")
        if one.get("TargetMode") != "External":
            member = (
                target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            )
            found[one.get("Id", "")] = (one.get("Type", "").rpartition("/")[2], member)
    return found
