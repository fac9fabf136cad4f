"""`glassmill lists`: UT1's lists of unwanted hosts and URLs, installed and kept up to date.

In: categories. Out: `<out>/<category>/domains` and `urls`, and `ATTRIBUTION.txt`. They come from the upstream archive,
a tar file for each category, or all at once out of the datatrove wheel (FineWeb's own copy, as one category), which
the package registry serves. A category is replaced whole or not at all; one that has not changed is left alone, and
one whose files are no longer what was installed is installed again.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

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
Licence: Creative Commons Attribution-ShareAlike 4.0 ({licence}). Who passes them on, changed or not, must name the
source and keep the licence. Sources:
{sources}"""
_CATEGORY = re.compile(r"[a-z][a-z0-9_-]{0,40}")

Tell = Callable[[str], None]
Lists = dict[str, dict[str, int]]


def install_lists(settings: ListsSettings, out: Path, tell: Tell = lambda text: None) -> dict[str, Any]:
    """Installs or updates the categories from the upstream archive.

    Returns:
        `folder`; `lists`: category -> number of `hosts` and `URLs`; `author` and `licence`.

    Raises:
        UserError: no such category, a server that does not answer, or an archive that is none; what was there stays.
    """
    for category in settings.categories:
        if not _CATEGORY.fullmatch(category):
            raise UserError(f"lists.categories: {category!r} is no name of a category; write it like adult")
    lists: Lists = {}
    with _locked(out):
        for category in settings.categories:
            url = f"{settings.base_url.rstrip('/')}/{category}.tar.gz"
            with tempfile.TemporaryDirectory(prefix="glassmill-") as folder:
                archive = _downloaded(url, Path(folder) / "list.tar.gz", settings, tell)
                lists[category] = _install(archive, out, category, url, tell)
    return {"folder": str(out), "lists": lists, "author": AUTHOR, "licence": LICENCE}


def install_from_wheel(out: Path, tell: Tell = lambda text: None, wheel: Path | None = None) -> dict[str, Any]:
    """Installs the lists that the datatrove wheel carries, as one category `fineweb`. See `install_lists`.

    Args:
        wheel: The wheel's file; None lets pip download it (it is never installed), unless its lists are there: what a
            version of a package holds does not change.
    """
    with _locked(out), tempfile.TemporaryDirectory(prefix="glassmill-") as folder:
        source = f"{WHEEL}, a Python package"
        if wheel is None and _installed(out, WHEEL_CATEGORY).get("source") == source:
            tell(f"{WHEEL_CATEGORY}: unchanged")
            lists = {WHEEL_CATEGORY: count_lines(out / WHEEL_CATEGORY)}
        else:
            if wheel is None:
                tell(f"fetching {WHEEL} with pip (17 MB)")
            archive = Path(folder) / "lists.tar.gz"
            archive.write_bytes(_lists_of(wheel or download_wheel(WHEEL, Path(folder))))
            lists = {WHEEL_CATEGORY: _install(archive, out, WHEEL_CATEGORY, source, tell)}
    return {"folder": str(out), "lists": lists, "author": AUTHOR, "licence": LICENCE}


def _locked(out: Path) -> Any:
    out.mkdir(parents=True, exist_ok=True)
    return locked(out / ".lock", "glassmill lists")


def _downloaded(url: str, path: Path, settings: ListsSettings, tell: Tell) -> Path:
    def on_retry(cause: str, pause: float) -> None:
        tell(f"{url}: {cause}; next try in {pause:.0f} s")

    try:
        return download(url, path, settings, settings.max_bytes, on_retry=on_retry).path
    except TooLargeError as error:
        raise UserError(f"{url}: {error}, over lists.max_bytes={settings.max_bytes:,}") from None
    except UserError as error:
        raise UserError(f"{error}; FineWeb's copy of the lists comes another way: --from datatrove") from None


def _lists_of(wheel: Path) -> bytes:
    """The archive of lists inside the wheel."""
    try:
        with zipfile.ZipFile(wheel) as package:
            name = next((name for name in package.namelist() if WHEEL_MEMBER.fullmatch(name)), None)
            if name is None:
                raise UserError(f"{wheel.name} holds no URL lists; nothing was changed")
            return read_member(package, name, FilesSettings(), MAX_WHEEL_MEMBER_BYTES)
    except (*DAMAGE, UnreadableError) as error:
        raise UserError(f"{wheel.name} is damaged: {error}; nothing was changed") from None


def _install(archive: Path, out: Path, category: str, source: str, tell: Tell) -> dict[str, int]:
    """Unpacks what is new, notes what was installed, and names the source; the numbers of hosts and URLs."""
    digest = sha256_file(archive)
    if _installed(out, category).get("archive") == digest:
        tell(f"{category}: unchanged")
    else:
        _unpack(archive, out / category, source)
        entry = {"source": source, "archive": digest, "files": _digests(out / category)}
        record = _record(out) | {category: entry}
        sources = "".join(f"  {name}: {known['source']}\n" for name, known in sorted(record.items()))
        atomic_write(out / "ATTRIBUTION.txt", ATTRIBUTION.format(author=AUTHOR, licence=LICENCE, sources=sources))
        atomic_json(out / RECORD, record)
    return count_lines(out / category)


def _installed(out: Path, category: str) -> dict[str, Any]:
    """What is known of the category's source; empty if its files are not those that were installed."""
    entry: dict[str, Any] = _record(out).get(category, {})
    return entry if entry and entry["files"] == _digests(out / category) else {}


def _digests(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in KINDS if (folder / name).is_file()}


def _record(out: Path) -> dict[str, dict[str, Any]]:
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return {name: entry for name, entry in record.items() if isinstance(entry, dict)}


def _unpack(archive: Path, folder: Path, source: str) -> None:
    """`domains` and `urls` of the archive, wherever in it they lie, as files of `folder`."""
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
                raise UserError(f"{source} holds no file named domains or urls; nothing was changed")
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
    """Lines of a category's files: `hosts` and `URLs`."""
    numbers = {}
    for name, kind in KINDS.items():
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                numbers[kind] = sum(1 for line in file if line.strip())
    return numbers
