"""The endings that a host can have: the top-level domains of the root zone, in Unicode and in ASCII."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

RESERVED = frozenset({"example", "test", "invalid", "localhost"})
"""Top-level domains that nobody gets (RFC 2606, RFC 6761): hosts below them have the form of one."""


@cache
def top_level_domains() -> frozenset[str]:
    """Every top-level domain, in lower case, internationalised ones in both forms, and the reserved ones.

    Source: IANA's list, see `scripts/top_level_domains.py`; its date is in the first line of the file.
    """
    text = files(__package__).joinpath("data/top_level_domains.txt").read_text(encoding="utf-8")
    return RESERVED | {line for line in text.split("\n") if line and line[0] != "#"}
