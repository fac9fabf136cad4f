"""`glassmill fetch`: downloads WARC files of Common Crawl into a folder, as input for a recipe.

In: a crawl's name, such as CC-MAIN-2024-22. Out: `<out>/<crawl>/*.warc.gz`, and the hidden file `.fetched.json` with
the URL, size and SHA-256 of each. The list of the crawl's files is downloaded first. Files are fetched one at a time,
as Common Crawl asks its users to do; complete files are not fetched again.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from glassmill.collect.download import download
from glassmill.errors import TooLargeError, UserError
from glassmill.recipe import FetchSettings
from glassmill.run.files import atomic_json, locked

RECORD = ".fetched.json"
MAX_LISTING_BYTES = 256 << 20
_CRAWL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")
_FILE = re.compile(r"(?:[A-Za-z0-9_=.+-]+/)*([A-Za-z0-9_=+-][A-Za-z0-9_=.+-]*\.(?:gz|zst))")

Notify = Callable[[str], None]


class FetchedFile(TypedDict):
    """A complete file, as `.fetched.json` has it."""

    url: str
    bytes: int
    sha256: str
    etag: str


class FetchResult(TypedDict):
    """`listed` is the number of files in the crawl, `left_out` how many the byte budget did not allow."""

    folder: str
    files: dict[str, FetchedFile]
    bytes: int
    listed: int
    left_out: int


def fetch(
    crawl: str,
    settings: FetchSettings,
    out: Path,
    notify: Notify = lambda text: None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> FetchResult:
    """Downloads the files; a second call resumes, or finds all of them complete.

    Args:
        on_progress: Called with a file's name, its bytes so far, and its bytes in total.

    Raises:
        UserError: no such crawl, an invalid list, or a server that does not respond; what was fetched is kept.
    """
    if not _CRAWL.fullmatch(crawl):
        raise UserError(f"{crawl!r} is not a crawl name; write it like CC-MAIN-2024-22")
    folder = out / crawl
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", "glassmill fetch"):
        return _fetch(crawl, settings, folder, notify, on_progress or (lambda name, have, total: None))


def _fetch(
    crawl: str, settings: FetchSettings, folder: Path, notify: Notify, on_progress: Callable[[str, int, int], None]
) -> FetchResult:
    base = settings.base_url.rstrip("/")
    listed = _listing(f"{base}/crawl-data/{crawl}/{settings.kind}.paths.gz", folder, settings, notify)
    wanted = listed[settings.first : settings.first + settings.files]
    if not wanted:
        raise UserError(f"fetch.first={settings.first}: {crawl} has only {len(listed):,} files of kind {settings.kind}")
    record = read_record(folder)
    left, files = settings.max_bytes, {}
    for number, name in enumerate(wanted):
        path = folder / name.rpartition("/")[2]
        entry = record.get(path.name)
        if not (entry and path.is_file() and path.stat().st_size == entry["bytes"]):
            try:
                fetched = download(
                    f"{base}/{name}",
                    path,
                    settings,
                    left,
                    lambda have, total, name=path.name: on_progress(name, have, total),  # type: ignore[misc]
                    lambda cause, pause, name=path.name: notify(f"{name}: {cause}; retrying in {pause:.0f} s"),  # type: ignore[misc]
                )
            except TooLargeError as error:
                if not number:
                    raise UserError(
                        f"fetch.max_bytes={settings.max_bytes}: the first file alone has {error.size:,} bytes"
                    ) from None
                notify(f"stopped before {path.name}: it would exceed fetch.max_bytes={settings.max_bytes:,}")
                break
            entry = {"url": fetched.url, "bytes": fetched.size, "sha256": fetched.sha256, "etag": fetched.etag}
            record[path.name] = entry
            atomic_json(folder / RECORD, record)
        files[path.name] = entry
        left -= entry["bytes"]
    return {
        "folder": str(folder),
        "files": files,
        "bytes": sum(entry["bytes"] for entry in files.values()),
        "listed": len(listed),
        "left_out": len(wanted) - len(files),
    }


def read_record(folder: Path) -> dict[str, FetchedFile]:
    """The complete files that `fetch` recorded in `folder`, by name."""
    try:
        record: dict[str, FetchedFile] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return record


def _listing(url: str, folder: Path, settings: FetchSettings, notify: Notify) -> list[str]:
    path = folder / f".{settings.kind}.paths.gz"
    if not path.exists():
        download(url, path, settings, MAX_LISTING_BYTES, None, lambda cause, pause: notify(f"{path.name}: {cause}"))
    try:
        with gzip.open(path) as file:
            lines = file.read(MAX_LISTING_BYTES * 4).decode("ascii").split()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        path.unlink()
        raise UserError(f"{url} is not a gzip list of files; check fetch.base_url") from None
    bad = next((line for line in lines if not _FILE.fullmatch(line) or ".." in line), None)
    if bad is not None or not lines:
        path.unlink()
        raise UserError(
            f"{url} lists {bad!r}, which is not the path of a .gz or .zst file" if bad else f"{url} lists no files"
        )
    return lines
