"""E-mail addresses: around an `@`, ASCII or not, and those spelt `name [at] host [dot] org`.

The part of RFC 5321 and RFC 6531 (internationalised addresses) that people write: no quoted local parts, no address
literals.
"""

from __future__ import annotations

import re

from glassmill.corpus.pii.scan import Places, Scan

_LOCAL_PART = re.compile(r"[\w!#$%&'*+=?^`{|}~.-]{1,64}$")
_DOMAIN_RUN = re.compile(r"[\w.-]{3,253}")
_SPELT_AT = re.compile(r"[\[(] ?at ?[\])] ?", re.IGNORECASE)
_SPELT_DOMAIN = re.compile(r"[\w-]{1,63}(?:(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)[\w-]{1,63}){1,4}", re.IGNORECASE)


def find_emails(scan: Scan) -> Places:
    """Addresses with `@`, then those spelt out."""
    text = scan.text
    place = text.find("@")
    while place >= 0:
        span = _around(text, place)
        if span:
            yield span
        place = text.find("@", max(span[1] if span else 0, place + 1))
    for place in scan.brackets:
        match = _SPELT_AT.match(text, place)
        if not match:
            continue
        end = match.start() - text.endswith(" ", 0, match.start())
        local = _LOCAL_PART.search(text, max(0, end - 64), end)
        domain = _SPELT_DOMAIN.match(text, match.end())
        if local and domain and re.search(r"\.|dot", domain[0], re.IGNORECASE):
            yield local.start(), domain.end()


def _around(text: str, place: int) -> tuple[int, int] | None:
    local = _LOCAL_PART.search(text, max(0, place - 64), place)
    domain = _DOMAIN_RUN.match(text, place + 1)
    if not local or not domain:
        return None
    host = domain[0].rstrip(".-_")
    labels = host.split(".")
    last = labels[-1]
    if len(labels) < 2 or not all(labels) or not ((last.isalpha() and len(last) >= 2) or last.startswith("xn--")):
        return None
    end = place + 1 + len(host)
    if text[end : end + 1] == ":" and text[end + 1 : end + 2].strip() not in ("", '"', "'"):
        return None  # git@host:path
    start = local.start() + len(local[0]) - len(local[0].lstrip(".'`{|/=-&?"))
    return (start, end) if start < place else None
