"""Files on web servers, read by ranges (RFC 9110, section 14): size and ETag of a file, and bytes of it.

A redirect is followed on the same host only, and never from https to http: whoever controls a named server must not
lead this machine to others that only it can reach.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from glassmill.errors import TransientError, UserError
from glassmill.run.stores.persistence import timeout_s

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_REDIRECTS = 5
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def look(address: str) -> tuple[int, str]:
    """Size and tag of the file.

    Raises:
        UserError: there is none, or the server cannot send a part of it.
    """
    _, size, tag = _get(address, 0, 1)
    if not tag:
        raise UserError(f"{address}: the server tells neither ETag nor Last-Modified; download the file first")
    return size, tag


def read_range(address: str, begin: int, end: int) -> bytes:
    """The bytes from `begin` to before `end`."""
    return _get(address, begin, end)[0]


def _get(address: str, begin: int, end: int) -> tuple[bytes, int, str]:
    """The bytes, the size of the whole file, and its tag."""
    headers = {"Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
    place = address
    try:
        for _ in range(MAX_REDIRECTS):
            with requests.get(
                place, headers=headers, stream=True, timeout=timeout_s(), allow_redirects=False
            ) as answer:
                if answer.is_redirect:
                    place = _followed(address, place, answer.headers.get("Location", ""))
                    continue
                size = _size(address, answer, begin)
                tag = answer.headers.get("ETag", "") or answer.headers.get("Last-Modified", "")
                data = answer.raw.read(end - begin) if size else b""
                return data, size, tag.strip('"')
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TransientError(_cause(error)) from None
    raise UserError(f"{address}: more than {MAX_REDIRECTS} redirects")


def _size(address: str, answer: requests.Response, begin: int) -> int:
    status = answer.status_code
    if status in BUSY:
        wish = answer.headers.get("Retry-After", "")
        raise TransientError(f"HTTP {status}", float(wish) if wish.isdigit() else 0.0)
    if status in (401, 403):
        raise PermissionError(f"HTTP {status}")
    if status in (404, 410):
        raise FileNotFoundError(address)
    place = _RANGE.match(answer.headers.get("Content-Range", ""))
    if status == 206 and place and int(place[1]) == begin:
        return int(place[3])
    if status == 416 and answer.headers.get("Content-Range", "") == "bytes */0":
        return 0
    if status == 200:
        raise UserError(f"{address}: the server sends whole files only; download the file first")
    raise UserError(f"{address}: HTTP {status} {answer.reason}; check the address")


def _followed(address: str, place: str, to: str) -> str:
    target = urljoin(place, to)
    old, new = urlsplit(place), urlsplit(target)
    if new.hostname != old.hostname or new.scheme not in ("https", old.scheme):
        where = f"{new.scheme}://{new.hostname}"
        raise UserError(f"{address}: leads to {where}, which is not followed; name that address, or download the file")
    return target


def _cause(error: Exception) -> str:
    name = type(error).__name__
    if "Timeout" in name:
        return f"no answer within {timeout_s():g} s"
    return "cannot resolve the host name" if "NameResolution" in str(error) else "the connection broke"
