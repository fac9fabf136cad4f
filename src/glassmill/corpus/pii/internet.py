"""Public IPv4 and IPv6 addresses (RFC 791, RFC 4291); not version numbers, sections or private networks."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from glassmill.corpus.pii.scan import Places, Scan

_CONTEXT = re.compile(
    r"(?<!\[)\b(?:ip|ipv4|address(?:es)?|ping|server|host|dns|from|gateway|login|logged in|client|peer"
    r"|router)\b(?!\])[^\d\n]{0,24}$",
    re.IGNORECASE,
)
_NO_CONTEXT = re.compile(
    r"(?:\bversions?|\bver\.?|\bv\.?|\breleases?|\bbuild|\bfirmware|\bdriver|\bpatch|\bkernel|\bsdk"
    r"|\brev(?:ision)?|\bupdate|\bupgraded? to|\bdowngraded? to"
    r"|\bsections?|\bsec\.|§|\bchapters?|\bclauses?|\barticles?|\bparagraphs?|\brules?|\bfigures?|\btables?"
    r"|\bappendix|\bpart|\bsteps?|\babschnitt|\bkapitel|\bannexe?"
    r"|\boid|\b(?:v8|chrome|chromium|node|node\.js|git|openssl|python|java|jdk|windows"
    r"|linux|firefox|safari|edge|opera|android|ios|macos|ubuntu|nginx|apache|mysql|postgresql|php|perl|ruby"
    r"|nvidia)(?: is)?(?: at)?|[<>=~!]=|[<>~^])[\s:#(\"'=]{0,3}$",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:(?:up|down)(?:grad|dat)|bump|patch|roll)\w*\b[^\n]{0,20}\bto[ \t]?$"
    r"|\bversions?\b(?![^\n]*\b(?:ip|address|server|host|client)\b)[^\n]{0,16}$"
    r"|(?<![\d.])v?\d+\.\d+\.\d+,? to $|\bto [\d.]{5,20} \(?from $",
    re.IGNORECASE,
)
"""Words in front of what a program's new version is."""
_IPV4 = re.compile(r"(?<![\w.-])(?<!\w/)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9a-z]|-\d)(?:/[0-9]{1,2}(?![\w./]))?")
_IPV4_HINT = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_LINE_START = re.compile(r"(?:\A|\n)[ \t#=*>\u2022-]{0,8}$")
_MARKED = re.compile(r"[#=][ \t]*$")
_HEADING = re.compile(r"\.?[ \t\u00a0]{1,4}[\"'(`<\[]?[^\W\d]|[ \t]{1,4}[(:\u2013-]")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F]{0,4}:)(?:[0-9a-fA-F:]{2,29}:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F:]{4,39})(?![\w:])"
)
_IPV6_HINT = re.compile(r":[0-9a-fA-F]{0,4}:")
_PAIRS = re.compile(r"(?:[0-9a-fA-F]{2}:){7}[0-9a-fA-F]{2}")
_MOST_OF_A_SECTION = 30
"""Section numbers and versions have small parts; of four numbers up to this, one in 5,000 addresses consists."""


def find_ips(scan: Scan) -> Places:
    """Public IPv4 and IPv6 addresses, with the length of a network if one is written.

    A dotted number after `version` is not one, nor a heading's, nor one of small parts where no word says so.
    """
    text = scan.text
    for match in _IPV6.finditer(text) if _IPV6_HINT.search(text) else ():
        try:
            address = IPv6Address(match[0])
        except AddressValueError:
            continue
        if match[0].count(":") > 2 and not _PAIRS.fullmatch(match[0]) and not _is_local(address):
            yield match.span()
    for match in _IPV4.finditer(text) if _IPV4_HINT.search(text) else ():
        parts = match[0].partition("/")[0].split(".")
        numbers = [int(part) for part in parts]
        if max(numbers) > 255 or any(len(part) > 1 and part[0] == "0" for part in parts) or _not_public(numbers):
            continue
        before = scan.words_before(match.start())
        small = _is_small(numbers, text, match.start(), match.end())
        if (
            (small and not _CONTEXT.search(before))
            or _NO_CONTEXT.search(before)
            or _CHANGE.search(scan.before(match.start()))
        ):
            continue
        yield match.span()


def _is_small(numbers: list[int], text: str, start: int, end: int) -> bool:
    """Whether the numbers look like those of a section or a version, at the start of a line more readily."""
    if max(numbers) < _MOST_OF_A_SECTION:
        return True
    before = text[max(0, start - 9) : start]
    if max(numbers) >= 100 or not _LINE_START.search(before):
        return False
    return bool(_MARKED.search(before) or _HEADING.match(text, end))


def _not_public(numbers: list[int]) -> bool:
    first, second = numbers[:2]
    private = (
        first == 10
        or (first, second) == (192, 168)
        or (first == 172 and 16 <= second < 32)
        or (first, second) == (169, 254)
        or (first == 100 and 64 <= second < 128)
    )
    return private or first in (0, 127) or first >= 224


def _is_local(address: IPv6Address) -> bool:
    """Whether the address has a meaning only where it is used: loopback, link-local, private (RFC 4193), multicast."""
    if address.ipv4_mapped:
        return _not_public([*address.ipv4_mapped.packed])
    return (
        int(address) >> 32 == 0
        or address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or address.is_multicast
        or int(address) >> 121 == 0xFC >> 1
    )
