"""Public IPv4 and IPv6 addresses (RFC 791, RFC 4291); not version numbers, sections or private networks."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from glassmill.corpus.pii.scan import Places, Scan

_CONTEXT = re.compile(
    r"(?<!\[)\b(?:ip|ipv4|address|ping|server|host|dns|from|gateway|login)\b(?!\])[^\d\n]{0,24}$", re.IGNORECASE
)
_NO_CONTEXT = re.compile(
    r"(?:\bversions?|\bver\.?|\bv\.?|\breleases?|\bbuild|\bfirmware|\bdriver|\bpatch|\bkernel|\bsdk"
    r"|\brev(?:ision)?|\bupdate"
    r"|\bsections?|\bsec\.|§|\bchapters?|\bclauses?|\barticles?|\bparagraphs?|\brules?|\bfigures?|\btables?"
    r"|\bappendix|\bpart"
    r"|\boid)[\s:#(]{0,3}$",
    re.IGNORECASE,
)
_IPV4 = re.compile(r"(?<![\w.-])(?<!\w/)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.\d|-\d)")
_IPV4_HINT = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9a-fA-F]{0,4}:)[0-9a-fA-F:]{4,39}(?![\w:])")
_IPV6_HINT = re.compile(r":[0-9a-fA-F]{0,4}:")


def find_ips(scan: Scan) -> Places:
    """Public IPv4 and IPv6 addresses. A dotted number after `version`, or of small parts only, is not one."""
    text = scan.text
    for match in _IPV4.finditer(text) if _IPV4_HINT.search(text) else ():
        parts = match[0].split(".")
        numbers = [int(part) for part in parts]
        if max(numbers) > 255 or any(len(part) > 1 and part[0] == "0" for part in parts) or _not_public(numbers):
            continue
        before = scan.before(match.start())
        if _NO_CONTEXT.search(before) or (max(numbers) < 20 and not _CONTEXT.search(before)):
            continue
        yield match.span()
    for match in _IPV6.finditer(text) if _IPV6_HINT.search(text) else ():
        try:
            address = IPv6Address(match[0])
        except AddressValueError:
            continue
        if not (address.is_loopback or address.is_unspecified or address.is_link_local) and match[0].count(":") > 2:
            yield match.span()


def _not_public(numbers: list[int]) -> bool:
    first, second = numbers[:2]
    private = (
        first == 10
        or (first, second) == (192, 168)
        or (first == 172 and 16 <= second < 32)
        or (first, second) == (169, 254)
    )
    return private or first in (0, 127) or first >= 224
