"""Personal data that is nobody's, or allowed, stays."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glassmill.corpus.endings import top_level_domains
from glassmill.corpus.pii import PLACEHOLDERS, find, leaving, mask
from glassmill.corpus.pii.emails import CODE_WORDS, mail_domains
from glassmill.errors import UserError

LEAVE = leaving(False, ["info@mill.de", "@acme.de", "support@", "93.1.0.0/16", "+49 30 123456", "2a01:4f8::/32"])


@pytest.mark.parametrize(
    "value",
    [
        "ana@example.org", "ana@sub.example.com", "ana@mill.example", "ana@mill.test", "you@yourdomain.com",
        "user@company.com", "info@mill.de", "bob@acme.de", "bob@sub.acme.de", "support@mill.org",
        "203.0.113.7", "198.51.100.9", "8.8.8.8", "89.12.200.0/24", "93.1.2.3", "2001:db8::8a2e:370:7334",
        "2a01:4f8::1:2:3", "+49 30 123456", "(415) 555-0134", "+44 20 7946 0958", "07700 900123", "234-567-8901",
        "078-05-1120", "123-45-6789", "4111 1111 1111 1111", "5555555555554444", "DE89370400440532013000",
    ],
)  # fmt: skip
def test_what_is_reserved_or_allowed_stays(value: str) -> None:
    text = f"see IP {value} there"
    assert find(text) and mask(text, leave=LEAVE) == (text, [])


@pytest.mark.parametrize(
    "value",
    [
        "ana@mill.de", "ana@gmail.com", "a@b.org", "user@host.org", "mail@x.de", "info@mill2.de", "ana@notacme.de",
        "89.12.200.3", "93.2.3.4", "2a01:4f9::1:2:3", "415-555-2671", "+49 30 1234568", "460-89-9847",
        "4539 1488 0343 6467", "GB56HXDO88167774656119",
    ],
)  # fmt: skip
def test_everybody_elses_does_not(value: str) -> None:
    assert len(find(f"see {value} there", leave=LEAVE)) == 1


@pytest.mark.parametrize("entry", ["", "@", "word", "300.1.2.3/8", "10.0.0.0/99"])
def test_an_entry_that_allows_nothing_is_told(entry: str) -> None:
    with pytest.raises(UserError, match=r"corpus\.pii\.allow: "):
        leaving(False, [entry])


@given(st.text(max_size=40), st.sampled_from(list(PLACEHOLDERS)))
@example("/:", "ip")
def test_no_value_breaks_the_judgement(value: str, kind: str) -> None:
    assert LEAVE is not None and LEAVE(kind, value) in (True, False)


def test_every_ending_has_both_forms_and_code_words_are_none() -> None:
    endings = top_level_domains()
    assert len(endings) > 1400 and {"com", "de", "рф", "xn--p1ai", "example"} <= endings
    assert all(name.startswith("xn--") or "xn--" + name.encode("punycode").decode() in endings
               for name in endings if not name.isascii())  # fmt: skip
    assert endings >= CODE_WORDS and not CODE_WORDS & mail_domains()
