"""Downloads one file over HTTP, despite broken connections, busy servers and crashes.

In: a URL. Out: the complete file and its SHA-256. The bytes go to a hidden `.part` file next to it; a later call
resumes there (RFC 9110, ranges), unless the server's file has changed (its ETag is stored with the part). The file
gets its name only once its length is as announced and, where the ETag is an MD5 sum (as S3's is for plain uploads),
that matches.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
import urllib3

from glassmill.errors import FULL_DISK, TooLargeError, TransientError, UserError
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
    """A complete download."""

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
    """Downloads `url` to `path`, resuming where an earlier call stopped.

    Args:
        budget: The largest allowed size in bytes.
        on_progress: Called with the bytes so far and in total.
        on_retry: Called with the cause of a failure and the seconds until the next attempt.

    Raises:
        UserError: the server refuses, or `settings.tries` attempts in a row failed; what was fetched is kept.
        TooLargeError: over the budget.
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
            failures = 1 if grown else failures + 1  # progress resets the count: a flaky line gets there
            if failures >= settings.tries:
                raise UserError(
                    f"{url}: {error}, {failures} times in a row; run the same command again to resume"
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
    """The offset of the response's first byte, and the file's size if the server says."""
    status = answer.status_code
    if status in BUSY:
        raise TransientError(f"HTTP {status}", _wish(answer.headers.get("Retry-After", "")))
    if status == 206 and (match := _RANGE.match(answer.headers.get("Content-Range", ""))):
        if int(match[1]) > have:
            raise TransientError("the server skipped bytes")
        return int(match[1]), int(match[2])
    if status == 416 and have:
        match = re.match(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
        if match and int(match[1]) == have:
            return have, have
        raise TransientError("the partial file does not match the server's; starting over")
    if status == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    raise UserError(f"{url}: HTTP {status} {answer.reason}; check the name and the base URL")


def _receive(
    answer: requests.Response, part: Path, begin: int, total: int | None, budget: int | None, on_progress: Progress
) -> int:
    have = begin
    try:
        with part.open("r+b" if part.exists() else "wb") as file:
            file.truncate(begin)
            file.seek(begin)
            if answer.status_code != 416:
                while piece := answer.raw.read1(CHUNK):  # what has arrived; `iter_content` would lose it
                    have += len(piece)
                    if budget is not None and have > budget:
                        raise TooLargeError(have)
                    file.write(piece)
                    on_progress(have, total or 0)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in FULL_DISK:
            raise disk_full(part) from None
        raise TransientError("the connection broke") from None
    return have


def _publish(url: str, path: Path, part: Path, size: int, etag: str) -> Fetched:
    md5 = _MD5.match(etag)
    if md5 and _md5(part) != md5[1]:
        remove(part)
        raise TransientError("the MD5 sum does not match the server's")
    digest = sha256_file(part)
    part.replace(path)
    remove(_state_path(part))
    return Fetched(url, path, size, digest, etag)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _state_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _state(part: Path) -> dict[str, str]:
    """URL and ETag of the partial file, as noted when it was started; empty if there is no readable note."""
    try:
        state: object = json.loads(_state_path(part).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return {str(name): str(value) for name, value in state.items()} if isinstance(state, dict) else {}


def _wish(value: str) -> float:
    """The seconds of a Retry-After header, which is a number or a date."""
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _cause(error: Exception) -> str:
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError) and "NameResolution" in str(error):
        return "cannot resolve the host name (is there a network?)"
    return "the connection broke"
