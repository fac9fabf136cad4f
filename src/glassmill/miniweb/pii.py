"""Personal data planted in good pages: five kinds in many formats, all values fictional.

The sentences around them are in `data/pii.toml`. E-mail hosts are example domains (RFC 2606), US numbers have the
exchange 555, other numbers are in ranges reserved for fiction, SSNs have area numbers that were not assigned before
2011, and IP addresses belong to networks without private users.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from glassmill.miniweb.lists import Lists
from glassmill.miniweb.page import Pii

_LISTS = Lists("pii")
_USERS, _HOSTS = _LISTS.texts("users"), _LISTS.texts("hosts")
_CITIES, _ROADS, _SUFFIXES = _LISTS.rows("cities"), _LISTS.texts("roads"), _LISTS.texts("suffixes")
_SERVERS = (22, 26, 28, 29, 30, 33, 55)  # first bytes of public networks that no household uses

SENTENCES = _LISTS.table("sentences")


def plant(kind: str, rng: random.Random) -> tuple[str, Pii]:
    """A sentence with personal data of this kind, and the data itself."""
    text = _MAKERS[kind](rng)
    return rng.choice(SENTENCES[kind]).format(x=text), Pii(kind, text)


def _email(rng: random.Random) -> str:
    user, host = rng.choice(_USERS), rng.choice(_HOSTS)
    number = rng.randint(1, 9999)
    return rng.choice((f"{user}@{host}", f"{user}{number}@{host}", f"{user}+{number}@{host}",
                       f"{user.upper()}@{host.upper()}", f"{user}.{number}@{host}"))  # fmt: skip


def _phone(rng: random.Random) -> str:
    area, line = rng.choice((202, 212, 303, 415, 512, 617, 718, 808)), f"01{rng.randint(0, 99):02d}"
    tail = f"{rng.randint(0, 999):03d}"
    return rng.choice(
        (
            f"({area}) 555-{line}",
            f"{area}-555-{line}",
            f"{area}.555.{line}",
            f"+1 {area} 555 {line}",
            f"+1-{area}-555-{line}",
            f"1-{area}-555-{line}",
            f"+1 ({area}) 555-{line}",
            f"+44 20 7946 0{tail}",
            f"+44 (0)117 496 0{tail}",
            f"+49 30 23125 {tail}",
            f"+49 (0)30 23125-{tail}",
            f"+33 1 99 00 {tail[:2]} {rng.randint(10, 99)}",
            f"0033 1 99 00 {tail[:2]} {rng.randint(10, 99)}",
            f"+61 2 5550 {rng.randint(1000, 9999)}",
        )
    )


def _ssn(rng: random.Random) -> str:
    area = rng.choice((rng.randint(734, 749), rng.randint(773, 899)))
    group, serial = rng.randint(1, 99), rng.randint(1, 9999)
    return rng.choice(
        (f"{area}-{group:02d}-{serial:04d}", f"{area}-{group:02d}-{serial:04d}", f"{area} {group:02d} {serial:04d}")
    )


def _ip(rng: random.Random) -> str:
    return f"{rng.choice(_SERVERS)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def _address(rng: random.Random) -> str:
    city, state, prefix = rng.choice(_CITIES)
    place = f"{city}, {state} {prefix}{rng.randint(0, 99):02d}"
    road = f"{rng.randint(10, 9899)} {rng.choice(_ROADS)} {rng.choice(_SUFFIXES)}"
    flat = rng.randint(2, 40)
    return rng.choice(
        (
            f"{road}, {place}",
            f"{road}, Apt. {flat}, {place}",
            f"{road} Suite {flat}, {place}",
            f"{road}, Unit {flat}B, {place}-{rng.randint(1000, 9999)}",
            road.replace(" ", " N. ", 1) + f", {place}",
        )
    )


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "email": _email,
    "phone": _phone,
    "ssn": _ssn,
    "ip": _ip,
    "address": _address,
}
PII_KINDS = tuple(_MAKERS)
