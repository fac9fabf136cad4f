"""One file over HTTP, whatever happens on the way: cut lines, busy servers, a kill.

In: a URL. Out: the whole file under its name, with its SHA-256. The bytes go to a hidden `.part` file beside it; what
is there is not asked for again (RFC 9110, ranges), unless the server's file has changed since (its ETag is kept with
the part). A file takes its name only when its length is the one announced and, where the ETag is an MD5 sum as S3's is
for plain uploads, when that agrees.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests
import urllib3

from glassmill.errors import TooLargeError, TransientError, UserError
from glassmill.recipe import DownloadSettings
from glassmill.run.files import atomic_json, disk_full, remove, sha256_file

CHUNK = 1 << 18
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_PAUSE_S = 300.0
_MD5 = re.compile(r'^"?([0-9a-f]{32})"?$')
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is whole."""

    url: str
    path: Path
    size: int
    sha256: str
    etag: str = ""


def download(
    url: str,
    path: Path,
    settings: DownloadSettings,
    budget: int | None = None,
    on_progress: Progress | None = None,
    on_retry: Callable[[str, float], None] | None = None,
) -> Fetched:
    """Fetches `url` to `path`, going on where an earlier call was cut off.

    Args:
        budget: Bytes that the file may have.
        on_progress: Called with bytes there and bytes in all.
        on_retry: Called with a cause and the seconds until the next try.

    Raises:
        UserError: the server says no, or it failed `settings.tries` times in a row; what is there is kept.
        TooLargeError: over the budget; nothing was fetched.
    """
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _attempt(url, path, part, settings, budget, on_progress or (lambda have, total: None))
        except TransientError as error:
            grown = part.exists() and part.stat().st_size > before
            failures = 1 if grown else failures + 1  # a line that is cut now and then still gets the file over
            if failures >= settings.tries:
                raise UserError(
                    f"{url}: {error}, {failures} times in a row; the same command goes on where this one stopped"
                ) from None
            pause = min(max(error.pause_s, settings.pause_s * 2 ** (failures - 1)), LONGEST_PAUSE_S)
            if on_retry:
                on_retry(str(error), pause)
            time.sleep(pause)


def _attempt(
    url: str, path: Path, part: Path, settings: DownloadSettings, budget: int | None, on_progress: Progress
) -> Fetched:
    state = _state(part)
    have = part.stat().st_size if part.exists() and state.get("url") == url else 0
    headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if state.get("etag"):
            headers["If-Range"] = state["etag"]
    timeout = (settings.timeout_s, settings.timeout_s)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
            begin, total = _place(answer, url, have)
            if budget is not None and total is not None and total > budget:
                raise TooLargeError(total)
            etag = answer.headers.get("ETag", "")
            atomic_json(_state_path(part), {"url": url, "etag": etag})
            have = _receive(answer, part, begin, total, budget, on_progress)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TransientError(_cause(error)) from None
    if total is not None and have != total:
        if have > total:
            remove(part)
        raise TransientError(f"{have:,} bytes instead of {total:,}")
    return _publish(url, path, part, have, etag)


def _place(answer: requests.Response, url: str, have: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin, and how many the file has, where the server says so."""
    status = answer.status_code
    if status in BUSY:
        raise TransientError(f"HTTP {status}", _wish(answer.headers.get("Retry-After", "")))
    if status == 206 and (match := _RANGE.match(answer.headers.get("Content-Range", ""))):
        if int(match[1]) > have:
            raise TransientError("the server left out bytes")
        return int(match[1]), int(match[2])
    if status == 416 and have:
        match = re.match(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
        if match and int(match[1]) == have:
            return have, have
        raise TransientError("the part does not fit the file; it is fetched anew")
    if status == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    raise UserError(f"{url}: HTTP {status} {answer.reason}; look at the name, and at the base URL")


def _receive(
    answer: requests.Response, part: Path, begin: int, total: int | None, budget: int | None, on_progress: Progress
) -> int:
    have = begin
    try:
        with part.open("r+b" if part.exists() else "wb") as file:
            file.truncate(begin)
            file.seek(begin)
            if answer.status_code != 416:
                while piece := answer.raw.read1(CHUNK):  # what has come so far; `iter_content` loses it at a cut
                    have += len(piece)
                    if budget is not None and have > budget:
                        raise TooLargeError(have)
                    file.write(piece)
                    on_progress(have, total or 0)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise disk_full(part) from None
        raise TransientError("the connection broke") from None
    return have


def _publish(url: str, path: Path, part: Path, size: int, etag: str) -> Fetched:
    md5 = _MD5.match(etag)
    if md5 and _md5(part) != md5[1]:
        remove(part)
        raise TransientError("the MD5 sum is not the server's")
    digest = sha256_file(part)
    part.replace(path)
    remove(_state_path(part))
    return Fetched(url, path, size, digest, etag)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _state_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _state(part: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(_state_path(part).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return state


def _wish(value: str) -> float:
    """Seconds of a Retry-After header: a number, or a date."""
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _cause(error: Exception) -> str:
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError) and "NameResolution" in str(error):
        return "the host's name is not known here (is there a network?)"
    return "the connection broke"
