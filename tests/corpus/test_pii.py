"""Personal data: masking is exact and done once, fakes belong to nobody, and the annotated set is met."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.pii import PLACEHOLDERS, find, mask
from glassmill.corpus.pii.fakes import fake
from glassmill.corpus.pii.numbers import luhn


def test_masking_writes_placeholders_and_tells_the_places() -> None:
    text = "Ana (ana@example.org, 415-555-2671) lives at 7 Old Mill Lane."
    masked, spans = mask(text)
    assert masked == "Ana ([email], [phone]) lives at [address]."
    assert [text[span.start : span.end] for span in spans] == ["ana@example.org", "415-555-2671", "7 Old Mill Lane"]
    assert mask(text, ["email"])[0] == "Ana ([email], 415-555-2671) lives at 7 Old Mill Lane."


DATA = (
    "ana@example.org 415-555-2671 4155552671 078-05-1120 4111111111111111 203.0.113.7 4.3.2.1 phone call ssn ip version"
)
PARTS = [
    "Hauptstraße 5",
    " Apt. 3",
    "GB82WEST12345698765432",
    "lives at ",
    "Rue de ",
    "the corner of A and B ",
    "12 Main Street",
    "P.O. Box 9",
    "[at]",
    *"@+10-. ():üx",
    "\n",
    "::",
]
PIECES = st.sampled_from([*DATA.split(), *PARTS, *PLACEHOLDERS.values()])


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60))
def test_masking_twice_is_masking_once_and_all_else_stays(text: str) -> None:
    masked, spans = mask(text)
    assert mask(masked) == (masked, [])
    assert all(left.end <= right.start for left, right in pairwise(spans))
    rebuilt, position = "", 0
    for span in spans:
        rebuilt += text[position : span.start] + PLACEHOLDERS[span.kind]
        position = span.end
    assert rebuilt + text[position:] == masked


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "ana.berg+news@mail.example.org"),
        ("email", "a@b.co"),
        ("phone", "+44 20 7946 0958"),
        ("phone", "(415) 555-2671 ext. 12"),
        ("ssn", "078-05-1120"),
        ("credit_card", "4111 1111 1111 1111"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("ip", "89.12.200.3"),
        ("ip", "8.8.8.88"),
        ("ip", "2001:db8::8a2e:370:7334"),
        ("address", "12 Main Street Apt. 4B, Springfield, IL 62704"),
    ],
)
def test_a_fake_has_the_length_and_form_of_what_it_replaces_and_is_always_the_same(kind: str, value: str) -> None:
    text = f"see {value} there"
    masked, spans = mask(text, fakes=True)
    assert [(span.kind, text[span.start : span.end]) for span in spans] == [(kind, value)]
    made = masked[len("see ") : -len(" there")]
    assert len(masked) == len(text) and made != value and mask(text, fakes=True) == (masked, spans)
    if kind != "email":  # letters and digits change, the marks between them stay
        assert [c for c in made if not c.isalnum()] == [c for c in value if not c.isalnum()]
    assert not find(f"see {made} there") or kind in ("email", "phone", "address", "ip")


def test_fakes_belong_to_nobody() -> None:
    assert fake("email", "someone@real-company.com").endswith("@example.com")
    assert fake("ssn", "078-05-1120")[0] == "9"
    assert not luhn(fake("credit_card", "4111111111111111"))
    assert fake("iban", "GB82WEST12345698765432")[2:4] == "00"
    assert fake("phone", "415-293-2671")[4:10] == "555-01"
    assert fake("ip", "189.12.200.3").startswith(("192.0.2.", "198.51.100.", "203.0.113."))


def test_luhn() -> None:
    assert luhn("79927398713") and not luhn("79927398710")


GOALS = {"email": 1.0, "ssn": 1.0, "ip": 1.0, "iban": 1.0, "credit_card": 0.99, "phone": 0.99, "address": 0.90}
NAMES = {
    "EMAIL_ADDRESS": "email",
    "US_SSN": "ssn",
    "IP_ADDRESS": "ip",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "credit_card",
    "PHONE_NUMBER": "phone",
    "STREET_ADDRESS": "address",
}


def test_recall_and_precision_on_the_annotated_set(shared_data: Path) -> None:
    """Over all texts; `bench/pii.py` has the figures of the two halves."""
    texts = json.loads((shared_data / "pii" / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    wanted, hit, found, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for entry in texts:
        text, spans = entry["full_text"], find(entry["full_text"])
        pieces = [
            (NAMES.get(one["entity_type"], "place"), one["start_position"], one["end_position"])
            for one in entry["spans"]
        ]
        for kind, begin, end in pieces:
            masked = {place for span in spans if span.kind == kind for place in range(span.start, span.end)}
            needed = range(begin, begin + len(text[begin:end].rstrip(" .,\n")))
            wanted[kind] += 1
            hit[kind] += all(place in masked or text[place].isspace() for place in needed)
        for span in spans:
            found[span.kind] += 1
            right[span.kind] += any(
                kind == span.kind and begin < span.end and span.start < end for kind, begin, end in pieces
            )
    assert {kind: hit[kind] / wanted[kind] for kind, goal in GOALS.items() if hit[kind] < goal * wanted[kind]} == {}
    assert {kind: right[kind] / found[kind] for kind in GOALS if right[kind] < 0.95 * found[kind]} == {}
