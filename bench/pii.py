"""Personal data: recall and precision on annotated texts and on the generated town, and speed beside datatrove's.

    python bench/pii.py                   # everything
    python bench/pii.py --half 0 --show   # the development half, with every miss and every false find

Recall: annotated pieces that lie wholly inside places found of their kind (blanks and closing punctuation aside).
Precision: found places that overlap an annotated piece of their kind (an address may also hold annotated city and
postcode). The annotated set is presidio-research's (`../shared/data/pii`); its texts with even numbers were looked at
while the rules were written, those with odd numbers were not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from machine import machine

from glassmill.corpus.pii import DETECTORS, find, mask
from glassmill.corpus.pii.scan import Scan

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
KINDS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "US_SSN": "ssn",
    "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "STREET_ADDRESS": "address",
}
CHARACTERS = 7000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--half", type=int, choices=(0, 1))
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    texts = json.loads((SHARED / "pii" / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    for half in (0, 1) if arguments.half is None else (arguments.half,):
        print(f"\nannotated texts, {'even (looked at)' if half == 0 else 'odd (not looked at)'} numbers")
        quality(texts[half::2], arguments.show)
    if arguments.half is None:
        speed()


def quality(texts: list[dict], show: bool) -> None:
    """Prints recall and precision a kind."""
    counts: Counter[str] = Counter()
    for entry in texts:
        text = entry["full_text"]
        found = find(text)
        annotated = [
            (KINDS.get(span["entity_type"], span["entity_type"]), span["start_position"], span["end_position"])
            for span in entry["spans"]
        ]
        for kind, begin, end in annotated:
            if kind not in DETECTORS:
                continue
            covered = {place for span in found if span.kind == kind for place in range(span.start, span.end)}
            needed = range(begin, begin + len(text[begin:end].rstrip(" .,\n")))
            hit = all(place in covered or text[place].isspace() for place in needed)
            counts[f"{kind} wanted"] += 1
            counts[f"{kind} hit"] += hit
            counts[f"{kind} touched"] += any(place in covered for place in needed)
            if show and not hit:
                print("  missed", kind, repr(text[begin:end]), "in", repr(text[max(0, begin - 40) : end + 40]),
                      [text[s.start : s.end] for s in found])  # fmt: skip
        for span in found:
            alike = {"address": ("address", "ZIP_CODE", "GPE")}.get(span.kind, (span.kind,))
            right = any(kind in alike and begin < span.end and span.start < end for kind, begin, end in annotated)
            counts[f"{span.kind} found"] += 1
            counts[f"{span.kind} right"] += right
            if show and not right:
                print("  wrong", span.kind, repr(text[max(0, span.start - 40) : span.end + 20]))
    print(f"{'kind':12} {'pieces':>7} {'recall':>7} {'touched':>8} {'found':>6} {'precision':>9}")
    for kind in DETECTORS:
        wanted, places = counts[f"{kind} wanted"], counts[f"{kind} found"]
        recall, touched = (counts[f"{kind} {what}"] / max(wanted, 1) for what in ("hit", "touched"))
        precision = counts[f"{kind} right"] / max(places, 1)
        print(f"{kind:12} {wanted:7} {recall:7.3f} {touched:8.3f} {places:6} {precision:9.3f}")


def speed() -> None:
    """Documents of 7 kB a CPU second, real prose, beside datatrove's formatter where that is installed."""
    with gzip.open(SHARED / "web" / "truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        everything = "\n".join(json.loads(line)["main_content"] or "" for line in lines)
    pages = [everything[at : at + CHARACTERS] for at in range(0, len(everything) - CHARACTERS, CHARACTERS)]
    clean = [page for page in pages if not find(page)]
    print(f"\n{len(pages)} pages of {CHARACTERS} characters of real text, {len(clean)} without personal data")
    print(machine())
    print(f"ours, all pages      {rate(mask, pages):9,.0f} pages a CPU second")
    print(f"ours, clean pages    {rate(mask, clean):9,.0f}")
    print(f"datatrove's e-mail and IPv4 rules, clean pages: {peer(clean)}")
    print("measured before on such a machine: datatrove 0.10.1's formatter 1,233, phonenumbers 679, pyap 164")
    for kind, detect in DETECTORS.items():
        print(f"  {kind:12} {1e6 / rate(lambda page: list(detect(Scan(page))), clean):7.1f} microseconds a clean page")  # noqa: B023


def rate(function: Callable[[str], object], pages: list[str]) -> float:
    """Pages a CPU second, median of three passes."""
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        for page in pages:
            function(page)
        seconds.append(time.process_time() - begin)
    return len(pages) / statistics.median(seconds)


def peer(pages: list[str]) -> str:
    try:
        from datatrove.pipeline.formatters import PIIFormatter
    except ImportError:
        return "not installed here"
    return f"{rate(PIIFormatter().format, pages):,.0f}"


if __name__ == "__main__":
    main()
