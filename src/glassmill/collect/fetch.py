"""`glassmill fetch`: WARC files of Common Crawl, as many as asked for, into a folder that a recipe can name.

In: a crawl's name, such as CC-MAIN-2024-22. Out: `<out>/<crawl>/*.warc.gz`, and in the hidden file `.fetched.json` for
each its URL, bytes and SHA-256. The list of the crawl's files is fetched first. Files come one after the other, as
Common Crawl asks of its users; one that is there whole is not fetched again.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glassmill.collect.download import download
from glassmill.errors import TooLargeError, UserError
from glassmill.recipe import FetchSettings
from glassmill.run.files import atomic_json, locked

RECORD = ".fetched.json"
MAX_LISTING_BYTES = 256 << 20
_CRAWL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")
_FILE = re.compile(r"(?:[A-Za-z0-9_=.+-]+/)*([A-Za-z0-9_=+-][A-Za-z0-9_=.+-]*\.(?:gz|zst))")

Tell = Callable[[str], None]


def fetch(
    crawl: str,
    settings: FetchSettings,
    out: Path,
    tell: Tell = lambda text: None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Fetches the files; a second call goes on, or finds all there.

    Args:
        on_progress: Called with a file's name, its bytes that are there, and its bytes in all.

    Returns:
        `folder`, `files` (name -> url, bytes, sha256), `bytes`, `listed` (files that the crawl has), `left_out` (files
        that the byte budget did not allow).

    Raises:
        UserError: no such crawl, a list that is none, or a server that does not answer; what is there is kept.
    """
    if not _CRAWL.fullmatch(crawl):
        raise UserError(f"{crawl!r} is no name of a crawl; write it like CC-MAIN-2024-22")
    folder = out / crawl
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", "glassmill fetch"):
        return _fetch(crawl, settings, folder, tell, on_progress or (lambda name, have, total: None))


def _fetch(
    crawl: str, settings: FetchSettings, folder: Path, tell: Tell, on_progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    base = settings.base_url.rstrip("/")
    listed = _listing(f"{base}/crawl-data/{crawl}/{settings.kind}.paths.gz", folder, settings, tell)
    wanted = listed[settings.first : settings.first + settings.files]
    if not wanted:
        raise UserError(f"fetch.first={settings.first}: {crawl} has {len(listed):,} files of kind {settings.kind}")
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
                    lambda cause, pause, name=path.name: tell(f"{name}: {cause}; next try in {pause:.0f} s"),  # type: ignore[misc]
                )
            except TooLargeError as error:
                if not number:
                    raise UserError(
                        f"fetch.max_bytes={settings.max_bytes}: the first file alone has {error.size:,} bytes"
                    ) from None
                tell(f"stopped before {path.name}: it would go over fetch.max_bytes={settings.max_bytes:,}")
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


def read_record(folder: Path) -> dict[str, Any]:
    """What `fetch` noted in `folder`: file name -> url, bytes, sha256, etag."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return record


def _listing(url: str, folder: Path, settings: FetchSettings, tell: Tell) -> list[str]:
    path = folder / f".{settings.kind}.paths.gz"
    if not path.exists():
        download(url, path, settings, MAX_LISTING_BYTES, None, lambda cause, pause: tell(f"{path.name}: {cause}"))
    try:
        with gzip.open(path) as file:
            lines = file.read(MAX_LISTING_BYTES * 4).decode("ascii").split()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        path.unlink()
        raise UserError(f"{url} is no gzip list of files; look at fetch.base_url") from None
    bad = next((line for line in lines if not _FILE.fullmatch(line) or ".." in line), None)
    if bad is not None or not lines:
        path.unlink()
        raise UserError(
            f"{url} lists {bad!r}, which is no path of a .gz or .zst file" if bad else f"{url} lists no file"
        )
    return lines
