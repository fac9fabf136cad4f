"""The text without personal data, and where it was: runs the detectors and replaces what they find.

In: text. Out: the masked text and the spans, in characters of the original text. A replacement is a placeholder that
names the kind, or a fake of the same length (see `fakes.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

from glassmill.corpus.document import Span
from glassmill.corpus.pii.emails import find_emails
from glassmill.corpus.pii.fakes import fake
from glassmill.corpus.pii.internet import find_ips
from glassmill.corpus.pii.numbers import find_cards, find_ibans, find_ssns
from glassmill.corpus.pii.phones import find_phones
from glassmill.corpus.pii.reserved import Leave
from glassmill.corpus.pii.scan import Places, Scan
from glassmill.corpus.pii.secrets import find_secrets
from glassmill.corpus.pii.streets import find_addresses

PLACEHOLDERS = {
    "secret": "[secret]",
    "email": "[email]",
    "phone": "[phone]",
    "ssn": "[ssn]",
    "credit_card": "[credit card]",
    "iban": "[iban]",
    "ip": "[ip]",
    "address": "[address]",
}
DETECTORS: dict[str, Callable[[Scan], Places]] = {
    "secret": find_secrets,
    "email": find_emails,
    "ip": find_ips,
    "iban": find_ibans,
    "ssn": find_ssns,
    "credit_card": find_cards,
    "phone": find_phones,
    "address": find_addresses,
}

LONG_CHARACTERS = 20_000
MAX_PASSES, MAX_PASSES_OF_LONG = 8, 3
"""Three are the most that a real text needed; a text made for it could need one for each piece."""


def mask(
    text: str, kinds: Iterable[str] = PLACEHOLDERS, fakes: bool = False, leave: Leave | None = None
) -> tuple[str, list[Span]]:
    """The text with every piece of personal data replaced, and where it was in `text`.

    Masking masked text changes nothing, unless the replacements are fakes.

    Args:
        kinds: What to look for.
        fakes: Replace by a fake of the same length and form instead of a placeholder; equal data gets equal fakes.
        leave: What stays as it is though it has the form, see `reserved.leaving`; by default nothing does.

    Example:
        >>> mask("Write to ana@example.org.")
        ('Write to [email].', [Span(kind='email', start=9, end=24)])
    """
    kinds = tuple(kinds)
    found: list[Span] = []
    masked = text
    for _ in range(
        MAX_PASSES if len(text) < LONG_CHARACTERS else MAX_PASSES_OF_LONG
    ):  # a masked neighbour can complete a pattern: repeat until nothing is found
        new = find(masked, kinds, leave)
        if not new:
            break
        found = _merge(found, new)
        masked = _replace(text, found, lambda span: PLACEHOLDERS[span.kind])
    if fakes and found:
        masked = _replace(text, found, lambda span: fake(span.kind, text[span.start : span.end]))
    return masked, found


def find(text: str, kinds: Iterable[str] = PLACEHOLDERS, leave: Leave | None = None) -> list[Span]:
    """The personal data in `text`, in order; where two overlap, the kind that comes first in
    `DETECTORS` wins, and the other ends before it. What `leave` leaves, no other kind takes."""
    found: list[Span] = []
    taken = bytearray(len(text))
    scan = Scan(text)
    for kind, detect in DETECTORS.items():
        for start, end in detect(scan) if kind in kinds else ():
            cut = taken.find(1, start, end)
            end = end if cut < 0 else start + len(text[start:cut].rstrip())
            if start < end:
                taken[start:end] = b"\1" * (end - start)
                if leave is None or not leave(kind, text[start:end]):
                    found.append(Span(kind, start, end))
    return sorted(found, key=lambda span: span.start)


def _replace(text: str, spans: list[Span], by: Callable[[Span], str]) -> str:
    pieces, position = [], 0
    for span in spans:
        pieces += [text[position : span.start], by(span)]
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)


def _merge(old: list[Span], new: list[Span]) -> list[Span]:
    """Both in places of the original text. `new` comes in places of the text in which `old` is masked."""
    starts, shifts, shift = [], [], 0
    for span in old:
        starts.append(span.start + shift)
        shift += len(PLACEHOLDERS[span.kind]) - (span.end - span.start)
        shifts.append(shift)

    def original(place: int, at_end: bool) -> int:
        index = bisect_right(starts, place - at_end) - 1
        if index < 0:
            return place
        span = old[index]
        inside = place < starts[index] + len(PLACEHOLDERS[span.kind]) + at_end
        if inside and place > starts[index]:
            return span.end if at_end else span.start
        return span.start if inside else place - shifts[index]

    moved = [Span(span.kind, original(span.start, False), original(span.end, True)) for span in new]
    ends = [span.end for span in moved]
    places = [bisect_right(ends, span.start) for span in old]  # the first of `moved` that ends behind it
    rest = [
        span for span, place in zip(old, places, strict=True)
        if place == len(moved) or moved[place].start >= span.end
    ]  # fmt: skip
    return sorted(moved + rest, key=lambda span: span.start)
