"""Which addresses may the crawler connect to? Public ones, and those the user allows.

In: an IP address. Out: allowed or not. Private, loopback, link-local (cloud metadata), shared, multicast and reserved
ranges are not, nor is an IPv6 address that embeds one of them. Host names and odd spellings (`2130706433`, `0177.1`) do
not matter: only the resolved address is checked, and exactly that address is connected to.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from glassmill.errors import UserError

EVERYWHERE = ("0.0.0.0/0", "::/0")
_NAT64 = ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether `text` is a public unicast address; False if it is not an address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and int(address) >> 32 == 0:
            inner = IPv4Address(int(address))  # ::a.b.c.d
        if inner is not None and not is_public(str(inner)):
            return False
    return address.is_global and not address.is_multicast


def is_allowed(text: str, networks: Sequence[str] = ()) -> bool:
    """Whether connecting to `text` is allowed: it is public, or in one of `networks`."""
    if is_public(text):
        return True
    try:
        address = ip_address(text.partition("%")[0])
        return any(address in ip_network(network) for network in networks)
    except ValueError:
        return False


def check_networks(networks: Sequence[str]) -> None:
    """Checks the networks that the user allows.

    Raises:
        UserError: one of them is not a network.
    """
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise UserError(f"crawl.private_networks: {error}; write it like 10.0.0.0/8") from None
