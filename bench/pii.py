"""Personal data: recall and precision on annotated texts and on the generated town, and speed beside datatrove's.

    python bench/pii.py                   # everything
    python bench/pii.py --half 0 --show   # the development half, with every miss and every false find
    python bench/pii.py --hostile         # megabytes made to be slow: MB a CPU second of each

Recall: annotated pieces that lie wholly inside places found of their kind (blanks and closing punctuation aside).
Precision: found places that overlap an annotated piece of their kind (an address may also hold annotated city and
postcode). The annotated set is presidio-research's (`../shared/data/pii`); its texts with even numbers were looked at
while the rules were written, those with odd numbers were not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
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
    parser.add_argument("--hostile", action="store_true")
    arguments = parser.parse_args()
    if arguments.hostile:
        hostile()
        return
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


UNITS = (
    "a.", "a.a.a.a", "a@", "@", "a@b.c", "x@y.de ", "a@b.de", "a.b@", "[at]", "(", "[", "-", "::", "ab:cd:", "call ",
    "9", "1 ", "1-", "1,", "+1", "1.1.", "1.2.3.4 ", "1\u00a0", "\n1\n", "\u0661", "\u0663 ", "+1 2 3 4 5 6", "(415) ",
    "12345 ", "62704 ", "10115 Berlin ", "NY 10001 ", "123456789012345 ", "123 45 6789 ", "555-555-5555 ",
    "phone 1234567 ", "text 1234567 rows ", "1 A ", "1 Aa ", "12 Main ", "12 Main St/ ", "1 Main St ", "1 Main St\nA\n",
    "Box 1 ", "Apt. 3 ", "Street ", "12 Street ", "12 rue de ", "rue de la 1 ", "Via 7 ", "corner of A ", "lives at ",
    "lives at A 1 ", "GB82WEST1234", "A1 ", "AKIA", "sk-", "eyJ", "password=", "Password: ", "://a:b", "=",
    "-----BEGIN ", "-----BEGIN PRIVATE KEY-----",
)  # fmt: skip
WORDS = "St Street Main Box Apt. 5 12 345 62704 NY IL Berlin rue de lives at Via , . - ( ) phone + @ x.de 1.2.3.4 Anna"


def hostile(characters: int = 1_000_000) -> None:
    """MB a CPU second of masking each of the hostile texts: a unit repeated, then words and numbers by chance."""
    chance = random.Random(7)
    texts = {repr(unit): (unit * (characters // len(unit) + 1))[:characters] for unit in UNITS}
    texts["rows of five digits"] = " ".join(f"{chance.randrange(100_000):05}" for _ in range(characters // 6))
    lengths = [chance.randrange(1, 12) for _ in range(characters // 7)]
    texts["rows of many lengths"] = " ".join(str(chance.randrange(10**length)) for length in lengths)
    names = [chance.choice("ABCDEFGH") + "elo" * chance.randrange(3) for _ in range(characters // 8)]
    texts["words and numbers"] = " ".join(f"{name} {chance.randrange(300)}" for name in names)
    words = " ".join(chance.choices(WORDS.split(), k=characters // 4))
    texts |= {"words of addresses": words, "the same in 100 kB lines": re.sub(r"(.{100000}) ", r"\1\n", words)}
    print(machine())
    for name, text in texts.items():
        begin = time.process_time()
        _, spans = mask(text)
        spent = time.process_time() - begin
        print(f"{name:32}{len(text) / 1e6 / spent:9.2f} MB/s  {len(spans):8,} masked", flush=True)


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
