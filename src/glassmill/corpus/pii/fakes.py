"""Fakes: personal data replaced by invented data of the same kind, length and form.

A model trained on fakes still sees what an address looks like, and offsets into the page stay valid. What comes out
depends on the value alone, so equal values stay equal. Nobody owns a fake: e-mail hosts are reserved (RFC 2606) or
under a top-level domain that is never assigned (`xx`, ISO 3166-1 user-assigned), social security numbers have an
area that does not exist, cards and accounts a wrong checksum, telephone numbers the digits 555-01 where they have
room, IP addresses belong to documentation networks where the length allows it (RFC 5737), or to a reserved one.
"""

from __future__ import annotations

import hashlib
import random
import re
import string

from glassmill.corpus.pii.numbers import luhn
from glassmill.corpus.pii.street_words import KEPT_WORDS

_WORD = re.compile(r"\w+")
_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"
_DOCUMENTATION_NETWORKS = ("192.0.2.", "198.51.100.", "203.0.113.")


def fake(kind: str, value: str) -> str:
    """An invented value of this kind with the length of `value`."""
    digest = hashlib.blake2b(f"{kind}\0{value}".encode("utf-8", "replace"), digest_size=8).digest()
    chance = random.Random(int.from_bytes(digest, "little"))
    made = _MAKERS.get(kind, _shaped)(value, chance)
    assert len(made) == len(value), (kind, value, made)
    return made


def _shaped(value: str, chance: random.Random) -> str:
    """Every digit another digit, every letter another letter of its case; all else stays."""
    return "".join(_another(character, chance) for character in value)


def _another(character: str, chance: random.Random) -> str:
    if character.isdigit():
        return chance.choice(string.digits.replace(character, ""))
    if not character.isalpha():
        return character
    alike = _VOWELS if character.lower() in _VOWELS else _CONSONANTS  # stays pronounceable
    made = chance.choice(alike.replace(character.lower(), ""))
    return made.upper() if character.isupper() else made


def _email(value: str, chance: random.Random) -> str:
    host = "@example.com" if len(value) > 12 else "@x.xx"
    return "".join(chance.choices(string.ascii_lowercase, k=max(0, len(value) - len(host)))) + host[-len(value) :]


def _phone(value: str, chance: random.Random) -> str:
    made = list(_shaped(value, chance))
    places = [place for place, character in enumerate(value) if character.isdigit()]
    keep = 1 + (len(places) > 10)  # the country's code stays as it is
    made[: places[keep - 1] + 1] = value[: places[keep - 1] + 1] if value[0] in "+0" else made[: places[keep - 1] + 1]
    for place, digit in zip(places[-7:-2], "55501", strict=False):
        made[place] = digit
    return "".join(made)


def _ssn(value: str, chance: random.Random) -> str:
    return "9" + _shaped(value, chance)[1:]


def _card(value: str, chance: random.Random) -> str:
    made = value[0] + _shaped(value[1:], chance)
    digits = "".join(character for character in made if character.isdigit())
    return made[:-1] + str((int(made[-1]) + 1) % 10) if luhn(digits) else made


def _iban(value: str, chance: random.Random) -> str:
    return value[:2] + "00" + _shaped(value[4:], chance)  # check digits are 02 to 98


def _ip(value: str, chance: random.Random) -> str:
    if ":" in value:  # fd00::/8 is everybody's own, as private networks are (RFC 4193); 0::/8 is reserved
        first, colon, rest = value.partition(":")
        first = "fd" + "".join(chance.choices("0123456789abcdef", k=2)) if len(first) == 4 else "0" * len(first)
        return first + colon + "".join(":" if one == ":" else chance.choice("123456789abcdef") for one in rest)
    for network in chance.sample(_DOCUMENTATION_NETWORKS, 3):
        room = len(value) - len(network)
        if 1 <= room <= 3:
            return network + str(chance.randint(*((0, 9), (10, 99), (100, 255))[room - 1]))
    groups = value.split(".")  # 240.0.0.0/4 is reserved; a first group too short for it becomes 0
    first = {3: str(chance.randint(240, 255)), 2: "00", 1: "0"}[len(groups[0])]
    return ".".join([first, *("0" * (len(group) - 1) + chance.choice("123456789") for group in groups[1:])])


def _address(value: str, chance: random.Random) -> str:
    """Names and numbers change; words such as Street, Apt and rue stay."""
    return _WORD.sub(lambda match: match[0] if match[0].lower() in KEPT_WORDS else _shaped(match[0], chance), value)


_MAKERS = {
    "address": _address,
    "email": _email,
    "phone": _phone,
    "ssn": _ssn,
    "credit_card": _card,
    "iban": _iban,
    "ip": _ip,
}
