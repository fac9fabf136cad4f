"""`glassmill lists`: installs and updates UT1's lists of unwanted hosts and URLs.

In: categories. Out: `<out>/<category>/domains` and `urls`, and `ATTRIBUTION.txt`. The source is the upstream archive,
one tar file per category, or the datatrove wheel from the package registry (FineWeb's copy, as one category). A
category is replaced atomically; an unchanged one is left alone, and one whose files were modified is reinstalled.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TypedDict, cast

from glassmill.collect.download import download
from glassmill.corpus.read.files.archives import DAMAGE, members_of, read_member
from glassmill.errors import RefusedError, TooLargeError, UnreadableError, UserError
from glassmill.recipe import FilesSettings, ListsSettings
from glassmill.run.files import atomic_json, atomic_path, atomic_write, locked, sha256_file
from glassmill.run.registry import download_wheel

KINDS = {"domains": "hosts", "urls": "URLs"}
RECORD = ".installed.json"
WHEEL = "datatrove==0.10.1"
WHEEL_CATEGORY = "fineweb"
WHEEL_MEMBER = re.compile(r"datatrove/assets/url_filterblacklists[\w.]*\.tar\.gz")
MAX_WHEEL_MEMBER_BYTES = 256 << 20
AUTHOR = "Universite Toulouse Capitole (UT1 blacklists, Fabrice Prigent)"
LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = """\
The lists in this folder were made by the {author}.
Licence: Creative Commons Attribution-ShareAlike 4.0 ({licence}). If you redistribute them, changed or not, you must
name the source and keep the licence. Sources:
{sources}"""
_CATEGORY = re.compile(r"[a-z][a-z0-9_-]{0,40}")

Notify = Callable[[str], None]
Lists = dict[str, dict[str, int]]
"""Category -> number of `hosts` and `URLs`."""


class ListsResult(TypedDict):
    """The installed lists, and whom to attribute them to."""

    folder: str
    lists: Lists
    author: str
    licence: str


class Installed(TypedDict):
    """A category in `.installed.json`: where it came from, the archive's SHA-256, and those of its files."""

    source: str
    archive: str
    files: dict[str, str]


def install_lists(settings: ListsSettings, out: Path, notify: Notify = lambda text: None) -> ListsResult:
    """Installs or updates the categories from the upstream archive.

    Raises:
        UserError: no such category, a server that does not respond, or an invalid archive; nothing is changed.
    """
    for category in settings.categories:
        if not _CATEGORY.fullmatch(category):
            raise UserError(f"lists.categories: {category!r} is not a category name; write it like adult")
    lists: Lists = {}
    with _locked(out):
        for category in settings.categories:
            url = f"{settings.base_url.rstrip('/')}/{category}.tar.gz"
            with tempfile.TemporaryDirectory(prefix="glassmill-") as folder:
                archive = _downloaded(url, Path(folder) / "list.tar.gz", settings, notify)
                lists[category] = _install(archive, out, category, url, notify)
    return {"folder": str(out), "lists": lists, "author": AUTHOR, "licence": LICENCE}


def install_from_wheel(out: Path, notify: Notify = lambda text: None, wheel: Path | None = None) -> ListsResult:
    """Installs the lists in the datatrove wheel as one category, `fineweb`. See `install_lists`.

    Args:
        wheel: The wheel's file. By default pip downloads it (it is never installed), unless its lists are installed
            already: a released version never changes.
    """
    with _locked(out), tempfile.TemporaryDirectory(prefix="glassmill-") as folder:
        source = f"{WHEEL}, a Python package"
        installed = _installed(out, WHEEL_CATEGORY)
        if wheel is None and installed and installed["source"] == source:
            notify(f"{WHEEL_CATEGORY}: unchanged")
            lists = {WHEEL_CATEGORY: count_lines(out / WHEEL_CATEGORY)}
        else:
            if wheel is None:
                notify(f"downloading {WHEEL} with pip (17 MB)")
            archive = Path(folder) / "lists.tar.gz"
            archive.write_bytes(_lists_of(wheel or download_wheel(WHEEL, Path(folder))))
            lists = {WHEEL_CATEGORY: _install(archive, out, WHEEL_CATEGORY, source, notify)}
    return {"folder": str(out), "lists": lists, "author": AUTHOR, "licence": LICENCE}


def _locked(out: Path) -> AbstractContextManager[None]:
    out.mkdir(parents=True, exist_ok=True)
    return locked(out / ".lock", "glassmill lists")


def _downloaded(url: str, path: Path, settings: ListsSettings, notify: Notify) -> Path:
    def on_retry(cause: str, pause: float) -> None:
        notify(f"{url}: {cause}; retrying in {pause:.0f} s")

    try:
        return download(url, path, settings, settings.max_bytes, on_retry=on_retry).path
    except TooLargeError as error:
        raise UserError(f"{url}: {error}, over lists.max_bytes={settings.max_bytes:,}") from None
    except UserError as error:
        raise UserError(f"{error}; alternatively install FineWeb's copy: --from datatrove") from None


def _lists_of(wheel: Path) -> bytes:
    """The archive of lists inside the wheel."""
    try:
        with zipfile.ZipFile(wheel) as package:
            name = next((name for name in package.namelist() if WHEEL_MEMBER.fullmatch(name)), None)
            if name is None:
                raise UserError(f"{wheel.name} contains no URL lists; nothing was changed")
            return read_member(package, name, FilesSettings(), MAX_WHEEL_MEMBER_BYTES)
    except (*DAMAGE, UnreadableError) as error:
        raise UserError(f"{wheel.name} is damaged: {error}; nothing was changed") from None


def _install(archive: Path, out: Path, category: str, source: str, notify: Notify) -> dict[str, int]:
    """Unpacks a new archive, records what was installed and from where; returns the numbers of hosts and URLs."""
    digest = sha256_file(archive)
    installed = _installed(out, category)
    if installed and installed["archive"] == digest:
        notify(f"{category}: unchanged")
    else:
        _unpack(archive, out / category, source)
        record = _record(out)
        record[category] = {"source": source, "archive": digest, "files": _digests(out / category)}
        sources = "".join(f"  {name}: {known['source']}\n" for name, known in sorted(record.items()))
        atomic_write(out / "ATTRIBUTION.txt", ATTRIBUTION.format(author=AUTHOR, licence=LICENCE, sources=sources))
        atomic_json(out / RECORD, record)
    return count_lines(out / category)


def _installed(out: Path, category: str) -> Installed | None:
    """The record of a category; None if its files are not the ones that were installed."""
    entry = _record(out).get(category)
    return entry if entry and entry["files"] == _digests(out / category) else None


def _digests(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in KINDS if (folder / name).is_file()}


def _record(out: Path) -> dict[str, Installed]:
    try:
        record: object = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    entries = record.items() if isinstance(record, dict) else ()
    return {str(name): cast("Installed", entry) for name, entry in entries if _is_installed(entry)}


def _is_installed(entry: object) -> bool:
    return isinstance(entry, dict) and entry.keys() >= {"source", "archive", "files"}


def _unpack(archive: Path, folder: Path, source: str) -> None:
    """Extracts the archive's files named `domains` and `urls`, wherever they are in it, into `folder`."""
    found = 0
    try:
        with atomic_path(folder) as temporary:
            temporary.mkdir(parents=True)
            for member in members_of(archive, FilesSettings(max_unpacked_bytes=8 << 30)):
                name = member.name.rpartition("/")[2]
                if name in KINDS and member.file is not None:
                    found += 1
                    with (temporary / name).open("ab") as target:
                        _copy(member.file, target)
            if not found:
                raise UserError(f"{source} contains no file named domains or urls; nothing was changed")
    except (UnreadableError, RefusedError, tarfile.TarError) as error:
        raise UserError(f"{source}: {error}; nothing was changed") from None


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while True:
        try:
            piece = source.read(1 << 20)
        except DAMAGE as error:
            raise UnreadableError(f"damaged archive: {error}") from None
        if not piece:
            return
        target.write(piece)


def count_lines(folder: Path) -> dict[str, int]:
    """The number of lines in a category's files: `hosts` and `URLs`."""
    numbers = {}
    for name, kind in KINDS.items():
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                numbers[kind] = sum(1 for line in file if line.strip())
    return numbers
