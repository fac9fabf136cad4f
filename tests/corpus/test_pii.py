"""Personal data: what is masked, what is left alone, and that masking is linear, exact and done once."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.pii import PLACEHOLDERS, find, mask
from glassmill.corpus.pii.fakes import fake
from glassmill.corpus.pii.numbers import luhn


def kinds(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find(text)]


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("email", "Write to ana@example.org.", "ana@example.org"),
        ("email", "<a.b+c@mail.example.co.uk>", "a.b+c@mail.example.co.uk"),
        ("email", "mail: müller@straße.de!", "müller@straße.de"),
        ("email", "o'brien@example.com", "o'brien@example.com"),
        ("email", "bob [at] example [dot] org", "bob [at] example [dot] org"),
        ("email", "bob(at)example.org", "bob(at)example.org"),
        ("phone", "Call 415-555-2671 now", "415-555-2671"),
        ("phone", "(415) 555-2671", "(415) 555-2671"),
        ("phone", "415.555.2671", "415.555.2671"),
        ("phone", "+1 415 555 2671", "+1 415 555 2671"),
        ("phone", "1-800-555-0199", "1-800-555-0199"),
        ("phone", "+44 20 7946 0958", "+44 20 7946 0958"),
        ("phone", "+49 (0)30 123456", "+49 (0)30 123456"),
        ("phone", "020 7946 0958", "020 7946 0958"),
        ("phone", "07700 900123", "07700 900123"),
        ("phone", "phone: 4155552671", "4155552671"),
        ("phone", "call us at 555-0134", "555-0134"),
        ("phone", "415-555-2671 ext. 12", "415-555-2671 ext. 12"),
        ("ssn", "SSN 078-05-1120", "078-05-1120"),
        ("ssn", "social security number: 078 05 1120", "078 05 1120"),
        ("credit_card", "4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("credit_card", "card 5500005555555559.", "5500005555555559"),
        ("credit_card", "3400-0000-0000-009", "3400-0000-0000-009"),
        ("ip", "from 203.0.113.7,", "203.0.113.7"),
        ("ip", "logged in from 89.12.200.3.", "89.12.200.3"),
        ("ip", "ip 4.3.2.1", "4.3.2.1"),
        ("ip", "2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334"),
        ("address", "at 12 Main Street, Springfield, IL 62704.", "12 Main Street, Springfield, IL 62704"),
        (
            "address",
            "123 N. 5th Ave., Apt 4B, New York, NY 10001-1234",
            "123 N. 5th Ave., Apt 4B, New York, NY 10001-1234",
        ),
        ("address", "lives at 7 Old Mill Lane with", "7 Old Mill Lane"),
        ("address", "P.O. Box 123, Elmwood, OH 44001", "P.O. Box 123, Elmwood, OH 44001"),
        ("address", "1600 Pennsylvania Avenue NW", "1600 Pennsylvania Avenue NW"),
        ("address", "wohnt Lange Straße 5, 10115 Berlin, oder", "Lange Straße 5, 10115 Berlin"),
        ("address", "in der Hauptstraße 12a.", "Hauptstraße 12a"),
        ("address", "au 26 rue des Lilas, 75019 Paris.", "26 rue des Lilas, 75019 Paris"),
        ("address", "12 bis, avenue de la République", "12 bis, avenue de la République"),
        ("address", "abita in Via dei Fiorentini 17, 00186 Roma", "Via dei Fiorentini 17, 00186 Roma"),
        ("address", "vive en Calle Mayor, 12", "Calle Mayor, 12"),
        ("address", "mieszka przy ul. Miodowej 5, 00-251 Warszawa", "ul. Miodowej 5, 00-251 Warszawa"),
        ("address", "Keizersgracht 174, 1016 DW Amsterdam", "Keizersgracht 174, 1016 DW Amsterdam"),
        ("address", "asuu Mannerheimintie 12", "Mannerheimintie 12"),
        ("address", "bor på Storgatan 4", "Storgatan 4"),
        ("address", "lakik Rákóczi út 13.", "Rákóczi út 13"),
        ("address", "10 Downing Street, London SW1A 2AA", "10 Downing Street, London SW1A 2AA"),
        ("address", "PSC 3294, Box 9168\nAPO AA 34001", "PSC 3294, Box 9168\nAPO AA 34001"),
        ("address", "She lives at Jahu 80 now", "Jahu 80"),
        ("address", "5 Elm Row Apt. 3\n Salem\n, MA\n 01970", "5 Elm Row Apt. 3\n Salem\n, MA\n 01970"),
        ("address", "meet at the corner of Main Street and 5th Avenue.", "the corner of Main Street and 5th Avenue"),
        ("iban", "IBAN GB82 WEST 1234 5698 7654 32, please", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "to DE89370400440532013000.", "DE89370400440532013000"),
        ("iban", "my iban is gb82west12345698765432", "gb82west12345698765432"),
        ("email", "用户@例子.广告 schrieb", "用户@例子.广告"),
        ("email", "at info@xn--bcher-kva.example today", "info@xn--bcher-kva.example"),
        ("phone", "tél. 01 84 17 61 18", "01 84 17 61 18"),
        ("phone", "01.84.17.61.18", "01.84.17.61.18"),
        ("phone", "Phone:\n467 3395", "467 3395"),
        ("phone", "416 60 039 office", "416 60 039"),
        ("phone", "Fax 030/1234567", "030/1234567"),
        ("phone", "001-518-640-0854", "001-518-640-0854"),
        ("phone", "345-899-3560x4587", "345-899-3560x4587"),
        ("credit_card", "on my debit card 4222222222222", "4222222222222"),
        ("credit_card", "180016070420458", "180016070420458"),
    ],
)
def test_found(kind: str, text: str, found: str) -> None:
    assert kinds(text) == [(kind, found)]


@pytest.mark.parametrize(
    "text",
    [
        "git clone git@github.com:owner/name.git",
        "@handle and user@localhost and a@b",
        "version 1.10.0.1234 of section 4.3.2.1",
        "Version 10.20.30.40 came out",
        "see 4.3.2.1 below",
        "192.168.0.1, 10.0.0.1, 127.0.0.1 and 255.255.255.0",
        "256.1.1.300",
        "000-12-3456, 666-12-3456, 912-34-5678, 123-00-4567, 123-45-0000",
        "2024-05-17 10:20:30",
        "ISBN 978-0-306-40615-7",
        "$1,234,567.89 or 1 234 567",
        "4111 1111 1111 1112",
        "in 1842 High Street was paved",
        "a 2018 Appalachian Trail hike",
        "ends Dec 26\nEchelon Row",
        "1990 1995 2000 2005",
        "12:30:45 and 00:1A:2B:3C:4D:5E",
        "std::vector and a::b",
        "the numbers 100 200 300 400 500",
        "3.14159265358979",
        "part number 4155552671",
        "GB82 WEST 1234 5698 7654 33",
        "barcode 4006381333931",
        "16 square feet, 900 square foot and 100 square meters",
        "2 Week California Road Trip",
        "The 5 Best Trail-Running Shoes, 149 Miles of Trail",
        "an Oura Ring 4, Baldur's Gate 3, Spring 2020",
        "flies via London 5 times; Avenue 5; Route 66",
        "ran on 12 May 2020, Paris",
        "Chapter 12 Section 7, Room 4, Figure 2",
        "born in Hauptstraße 1842",
        "Chrome/86.0.42.198 and kernel 5.15.0.91",
        "012 013 023 123",
        "the order 2024-05-17/12345678",
    ],
)
def test_left_alone(text: str) -> None:
    assert kinds(text) == []


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "a.",
        "a@",
        "@",
        "1 ",
        "1-",
        "12 Main ",
        "::",
        "1.1.",
        "(",
        "+1",
        "1 A ",
        "a@b.c",
        "555-555-5555 ",
        "call ",
        "[at]",
        "1 Main St ",
        "A1 ",
        "GB82WEST1234",
        "1 Aa",
        "1 Aa ",
        "12345 ",
        "Box 1 ",
        "corner of A ",
        "lives at A 1 ",
        "1 Main St\nA\n",
        "rue de la 1 ",
        "+1 2 3 4 5 6",
    ],
)
def test_cost_is_linear(unit: str) -> None:
    """Ten times the text, at most twenty times the CPU time: a quadratic detector needs a hundred times."""

    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        begin = time.process_time()
        mask(text)
        return time.process_time() - begin

    assert min(seconds(200_000) for _ in range(2)) < 20 * max(seconds(20_000), 0.005) + 0.2


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
