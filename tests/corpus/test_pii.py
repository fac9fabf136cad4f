"""Personal data: what is masked, what is left alone, and that masking is exact and done once."""

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
        # whatever follows an address or stands around it
        ("email", "ssh ana@mill.org:8080 and", "ana@mill.org"),
        ("email", "ana@mill.org:hunter2", "ana@mill.org"),
        ("email", "To: ana@mill.de; Cc:", "ana@mill.de"),
        ("email", "mailto:ana@mill.de?subject=x", "ana@mill.de"),
        ("email", "'ana@mill.de'", "ana@mill.de"),
        ("email", '"ana@mill.de",', "ana@mill.de"),
        ("email", "ana@mill.de\nBerlin", "ana@mill.de"),
        ("email", "ana@mill.de.Bitte melden", "ana@mill.de"),
        ("email", "(ana@mill.de)", "ana@mill.de"),
        ("email", "ana@mill.de(privat)", "ana@mill.de"),
        ("email", "ana@mill.de_", "ana@mill.de"),
        ("email", "ana@163.com", "ana@163.com"),
        ("email", "ANA@MILL.CO.UK", "ANA@MILL.CO.UK"),
        ("email", "ana@mill.photography", "ana@mill.photography"),
        ("email", "ana@мельница.рф", "ana@мельница.рф"),
        ("email", "ana@mill.xn--p1ai", "ana@mill.xn--p1ai"),
        ("email", "联系ana@mill.cn的", "ana@mill.cn"),
        ("email", "scp deploy@mill.org:/srv/www", "deploy@mill.org"),
        ("email", "by {ana,bob, tom}@mill.org", "{ana,bob, tom}@mill.org"),
        ("email", "EMail=ana@mill.de/O=Mill", "ana@mill.de"),
        ("ip", "http://89.12.200.3:8080/x", "89.12.200.3"),
        ("ip", "89.12.200.3; 10.0.0.1", "89.12.200.3"),
        ("ip", "root:secret@89.12.200.3", "89.12.200.3"),
        ("email", "ana@mill.de.pdf", "ana@mill.de"),
        ("ip", "bans:\n44.15.0.91\n", "44.15.0.91"),
        ("phone", "can be reached at 1234567", "1234567"),
        ("ip", "the update server 89.12.200.3", "89.12.200.3"),
        ("ip", "an update came from 89.12.200.3", "89.12.200.3"),
        ("ip", "from ::ffff:89.12.200.3,", "::ffff:89.12.200.3"),
        ("ip", "[2a01:4f8:c17::2:1]:443", "2a01:4f8:c17::2:1"),
        ("phone", "+1.4155552671", "+1.4155552671"),
        ("phone", "Call 5550134 now", "5550134"),
        ("phone", "Handy 0171 1234567", "0171 1234567"),
        ("phone", "415-555-2671-office", "415-555-2671"),
        ("credit_card", "4111 1111 1111 1111 12/27", "4111 1111 1111 1111"),
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
        # an at-sign without mail
        "a decorator.\n@functools.wraps(f)\n",
        "import pytest\r\n@pytest.mark.slow\r\n",
        "name\n@app.route('/')",
        "icon@2x.png, icon@3x.webp, photo@1.5x.ps",
        "react-dom@18.3.0-canary.next, three@0.160.0.tgz, left-pad@1.2.3.dev, @types/node@20.1.io",
        "pbmc@meta.data$orig.ident, seurat@assays.data, obj@slot.name$x",
        "db@oracle.prod, sid@db.local",
        "x@self.weights, y@model.to(device), a@b.T",
        "@ana@mastodon.social and @mill.org",
        "git@gitlab.example.org:owner/name.git, ssh://git@codeberg.org/owner/name, git@github.com",
        "@Inject.Named, @media.screen, user@server, look (at) some.thing",
        "https://maps.example/@52.5163,13.3777,17z",
        # rows of numbers, quantities, identifiers
        "256 512 1024",
        "512 768 1024 2048",
        "320 480 1280",
        "01 02 03 04 05",
        "winning numbers 03 14 15 92 65",
        "lotto: 07 12 23 34 45",
        "Docket No. 03-1234-5678",
        "Part No. 0345-678-912",
        "P/N: 012-345-6789",
        "SKU 415-555-2671-B",
        "item 0415-555-267A",
        "text 1234567 rows",
        '=TEXT(12.34567;"000.00")',
        "=SUM(0123 456 789)",
        "02 04 08 16 32",
        "the draw: 03 14 15 65 92",
        "it reached 1234567.",
        "Mobile users reached 12345678.",
        "Registration No. 012-345-6789",
        "this@Activity.name, return@launch.run",
        "reached 1234567 downloads, call 1000000 people",
        "The phone has 4000 5000 6000 mAh",
        "the phone weighs 1234567 g",
        "ISBN-13: 978 0 306 40615 7, ISBN 0 306 40615 2, ISSN 0317-8471",
        "doi:10.1000/415.555.2671",
        "05-06-2023 1430, 01.02.2023 04:05",
        "at +52.520008, +13.404954",
        "550e8400-e29b-41d4-a716-446655440000",
        "Version 415.555.2671",
        "1 234 567 890 €",
        "+1 2 3 4 5 6 7 8",
        "62704 62704 62704 62704 62704 62704 62704 62704",
        # sections, versions, networks
        "3.2.1.4 Configuring the mill",
        "## 44.15.0.91\n",
        "44.15.0.91 (2020-05-17)",
        "Firefox 102.0.1.5",
        "foo (>= 86.12.0.4), bar==80.4.2.1",
        "OID 45.3.6.90, upgraded to 89.1.0.22",
        "2.5.29.17",
        "100.64.0.1, 169.254.1.1, 0.0.0.255, 239.1.2.3",
        "fe80::1:2, fd00::1:2:3, ff02::1:2, ::1",
        "ab:cd:ef:01:23:45:67:89",
        "deps: update V8 to 44.9.63.12, patch to 44.9.63.11",
        "Upgrade to 44.9.63.12 (from 44.9.63.11), 3.26.33 in v0.11.14 to 3.31.74.1",
        "Node has V8 at 95.0.71.47 and Chrome 85.0.71.32",
        "git 92.20.1.155.g426c96fcdb",
        "tcp6 ::1:25 :::*, ::ffff:10.0.0.1 and ::ffff:192.168.1.1",
        "version 2 av licensen",
        "https://user:password@mill.org/x",
        "see “Password keyring”, The password database¶",
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
