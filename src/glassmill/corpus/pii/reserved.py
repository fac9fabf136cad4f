"""Whose data is it? Values that have the form of personal data and are nobody's, and those that the user allows.

In: a kind and a value. Out: whether to leave it as it is. Nobody's are: what standards reserve for documentation (hosts
of RFC 2606 and RFC 6761, networks of RFC 5737, RFC 3849, RFC 9637 and RFC 2544, the telephone numbers 555-0100 to 0199
and Ofcom's for drama), public resolvers, numbers of well-known examples and test cards, and fillers such as
`you@yourdomain.com` or `123-456-7890`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from glassmill.corpus.endings import RESERVED
from glassmill.corpus.pii.scan import word_set
from glassmill.errors import UserError

Leave = Callable[[str, str], bool]
"""Whether a value of a kind stays."""

_EXAMPLE_HOSTS = frozenset({"example.com", "example.org", "example.net", "example.edu", "domain.tld"})
_FILLER_HOST = re.compile(
    r"(?:[\w-]+\.)?(?:(?:your|my|our|some|their|any|other|another|this)[-_]?(?:own)?[-_]?(?:real)?[-_]?"
    r"(?:domain|company|host|hostname|site|website|server|mail|email|org|organi[sz]ation|provider|isp|name|where)"
    r"|domain|hostname|somedomain|somewhere)\.[a-z.]{2,6}"
)
_FILLER_PERSON = re.compile(
    r"(?:your|my|the|some|first|last|user|full)?[-_.]?(?:name|email|e-?mail|mail|user|username|userid|login|account|address"
    r"|firstname|lastname|someone|somebody|nobody|you|me|foo|bar|baz|xxx+|someuser|youruser|recipient|sender)"
    r"(?:[-_.](?:name|lastname|surname))?\d{0,3}"
)
_FILLER_PLACE = re.compile(
    r"(?:[\w-]+\.)?(?:foo|bar|baz|foobar|xxx+|xyz|abc|acme|test|host|server|site|company|email|mail)\.[a-z.]{2,6}"
)
_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "192.0.0.0/24", "192.88.99.0/24",
        "1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220",
        "1.2.3.4", "4.3.2.1", "5.6.7.8", "11.22.33.44", "12.34.56.78", "1.1.1.0/24", "2.2.2.2", "3.3.3.3", "4.4.4.4",
        "5.5.5.5", "6.6.6.6", "7.7.7.7", "9.8.7.6", "123.123.123.123", "111.111.111.111", "222.222.222.222",
        "123.45.67.89", "2001:db8::/32", "3fff::/20", "64:ff9b::/96", "100::/64", "2001:4860:4860::8888",
        "2001:4860:4860::8844", "2606:4700:4700::1111", "2606:4700:4700::1001", "2620:fe::fe",
    )
)  # fmt: skip
_PHONES = re.compile(
    r"(?:1?[2-9]\d\d)?55501\d\d|(?:1?\d{3})?5551212|1?555555\d{4}"
    r"|(?:44|0044|0)?0?(?:2079460\d{3}|7700900\d{3}|1632960\d{3}|1[1-5]\d4960\d{3}|8081570\d{3}|9098790\d{3}|3069990\d{3})"
    r"|(?:61|0061|0)?0?[2378](?:5550|7010)\d{4}|(?:33|0033|0)?(?:199|261|353|465|536|639)00\d{4}"
)
_SSNS = frozenset({"078051120", "219099999", "457555462", "123456789", "111223333"})
_CARDS = word_set(
    "4111111111111111 4242424242424242 4012888888881881 4222222222222 5555555555554444 5105105105105100"
    " 378282246310005 371449635398431 378734493671000 30569309025904 38520000023237 6011111111111117"
    " 6011000990139424 3530111333300000 3566002020360505 5500005555555559 5019717010103742 4917610000000000"
    " 6331101999990016 2223003122003222 4000056655665556 5200828282828210 6011981111111113 3056930009020004"
    " 36227206271667 6200000000000005 340000000000009 30000000000004 3088000000000009 5500000000000004"
    " 4007000000027 4012000033330026"
)
_IBANS = word_set(
    "GB82WEST12345698765432 DE89370400440532013000 GB29NWBK60161331926819 FR1420041010050500013M02606"
    " GB33BUKB20201555555555 NL91ABNA0417164300 CH9300762011623852957 ES9121000418450200051332"
    " IT60X0542811101000000123456 BE68539007547034 AT611904300234573201 DK5000400440116243"
    " PL61109010140000071219812874 SE4550000000058398257466"
)
_DIGITS = re.compile(r"\D+")


def is_reserved(kind: str, value: str) -> bool:
    """Whether a value is reserved for examples, or known from them.

    Example:
        >>> is_reserved("email", "ana@example.org"), is_reserved("phone", "415-555-2671")
        (True, False)
    """
    judge = _JUDGES.get(kind)
    return bool(judge and judge(value))


def _email(value: str) -> bool:
    local, _, host = value.lower().rpartition("@")
    if not local:  # spelt out
        local, _, host = _spelt(value)
    labels = host.split(".")
    if labels[-1] in RESERVED or ".".join(labels[-2:]) in _EXAMPLE_HOSTS or _FILLER_HOST.fullmatch(host):
        return True
    return bool(_FILLER_PERSON.fullmatch(local) and _FILLER_PLACE.fullmatch(host) and host != "host.org")


def _spelt(value: str) -> tuple[str, str, str]:
    local, _, host = re.sub(r"\s?[\[({]\s?(?:at|dot)\s?[\])}]\s?", ".", value.lower()).partition(".")
    return local, "@", host


def _ip(value: str) -> bool:
    length = value.partition("/")[2]
    if length.isdecimal() and int(length) < 31:
        return True  # a network has no person behind it
    return _is_in(value, _NETWORKS)


def _is_in(value: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address, with or without the length of its network, lies in one of `networks`."""
    try:
        address = ip_address(value.partition("/")[0])
    except ValueError:
        return False  # cut off by something else that was found
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks if network.version == address.version)


def _phone(value: str) -> bool:
    digits = _DIGITS.sub("", value.partition("x")[0])
    return bool(_PHONES.fullmatch(digits)) or _is_counting(digits)


def _is_counting(digits: str) -> bool:
    """`1234567890`, `000-000-0000`, `+1 234 567 8900`."""
    core = digits[-7:]
    return len(set(core)) == 1 or core in "01234567890123456789" or core in "98765432109876543210"


def _ssn(value: str) -> bool:
    digits = _DIGITS.sub("", value)
    return digits in _SSNS or len(set(digits)) <= 2


def _card(value: str) -> bool:
    digits = _DIGITS.sub("", value)
    return digits in _CARDS or len(set(digits)) <= 2 or digits.count("0") > len(digits) - 7


def _iban(value: str) -> bool:
    return re.sub(r"[ -]", "", value).upper() in _IBANS


_JUDGES: dict[str, Callable[[str], bool]] = {
    "email": _email,
    "ip": _ip,
    "phone": _phone,
    "ssn": _ssn,
    "credit_card": _card,
    "iban": _iban,
}


class Allowed:
    """The values that the user allows: addresses, hosts with those below them, roles, networks, telephone numbers."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._roles: set[str] = set()
        self._hosts: set[str] = set()
        self._addresses: set[str] = set()
        self._digits: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            self._add(entry.strip().lower())

    def __call__(self, kind: str, value: str) -> bool:
        if kind == "email":
            local, _, host = value.lower().rpartition("@")
            parents = (host.split(".", number)[-1] for number in range(host.count(".") + 1))
            return (
                value.lower() in self._addresses or local in self._roles or any(one in self._hosts for one in parents)
            )
        if kind == "ip":
            return _is_in(value, self._networks)
        return kind == "phone" and _DIGITS.sub("", value) in self._digits

    def _add(self, entry: str) -> None:
        if not entry.strip("@."):
            raise UserError(f"corpus.pii.allow: {entry!r} names nothing; {_FORMS}")
        if _DIGITS.sub("", entry) and not re.search(r"[^\d+()./ \u00a0-]", entry) and "." not in entry:
            self._digits.add(_DIGITS.sub("", entry))
        elif re.fullmatch(r"[\d.]+(?:/\d+)?|[0-9a-f:]*:[0-9a-f:.]*(?:/\d+)?", entry):
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError as error:
                raise UserError(f"corpus.pii.allow: {error}; {_FORMS}") from None
        elif entry.endswith("@"):
            self._roles.add(entry[:-1])
        elif "@" in entry[1:]:
            self._addresses.add(entry)
        elif "." in entry:
            self._hosts.add(entry.lstrip("@."))
        else:
            raise UserError(f"corpus.pii.allow: {entry!r} is none of the forms known; {_FORMS}")


_FORMS = "write info@firma.de, firma.de (with its subdomains), info@ (at any host), 10.0.0.0/8 or +49 30 123456"


def leaving(examples: bool, allow: Iterable[str]) -> Leave | None:
    """What `mask` leaves as it is; None if nothing.

    Args:
        examples: Mask nobody's data too.
        allow: See `Allowed`.

    Raises:
        UserError: an entry has none of the forms.
    """
    entries = tuple(allow)
    allowed = Allowed(entries) if entries else None
    if examples:
        return allowed
    return lambda kind, value: is_reserved(kind, value) or bool(allowed and allowed(kind, value))
