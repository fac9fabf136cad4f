"""Personal data in manuals: a sample of what is masked, each piece with its surroundings, to be judged by eye.

    python bench/pii_manuals.py FOLDER_OR_FILES --masks 100 > sample.txt

Reads the files as `glassmill add` does, masks their texts with the default settings, and prints, by chance but the same
every time, N masked pieces: at most three of one document and a tenth of one kind and value. Then the numbers by kind,
and what was left as nobody's.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter

from glassmill.collect.gather import unfiltered
from glassmill.corpus.chain import Chain
from glassmill.corpus.document import Lost
from glassmill.corpus.pii import find, leaving
from glassmill.corpus.read.sources import find_sources, read_sources
from glassmill.recipe import CorpusSettings

AROUND = 60
MOST_OF_A_DOCUMENT = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--documents", type=int, default=10**9, help="at most so many, by chance")
    arguments = parser.parse_args()
    settings = CorpusSettings()
    chain = Chain(unfiltered(settings))
    leave = leaving(settings.pii.examples, settings.pii.allow)
    chance = random.Random(arguments.seed)
    sources = [(str(one.path), one.name, one.refused) for one in find_sources(tuple(arguments.paths))]
    sources = chance.sample(sources, min(len(sources), arguments.documents))
    pieces: list[tuple[str, str, str]] = []
    masked, forms = Counter[str](), Counter[str]()
    documents = characters = 0
    for source, item in read_sources(sources, [], settings.max_record_bytes, settings.files):
        document = None if isinstance(item, Lost) else chain.judge(item)
        if document is None or document.rule:
            continue
        text = document.text
        documents, characters = documents + 1, characters + len(text)
        spans = find(text, settings.pii.kinds, leave)
        masked.update(span.kind for span in spans)
        forms.update(span.kind for span in find(text, settings.pii.kinds))
        for span in chance.sample(spans, min(len(spans), MOST_OF_A_DOCUMENT)):
            line = f"{text[max(0, span.start - AROUND) : span.start]}⟦{text[span.start : span.end]}⟧"
            line += text[span.end : span.end + AROUND // 2]
            pieces.append((span.kind, text[span.start : span.end], f"{source.name}: {' '.join(line.split())}"))
    chance.shuffle(pieces)
    taken: Counter[tuple[str, str]] = Counter()
    number = 0
    for kind, value, line in pieces:
        taken[kind, value] += 1
        if taken[kind, value] <= max(1, arguments.masks // 50) and number < arguments.masks:
            number += 1
            print(f"{number:3} {kind:12} {line}")
    print(f"\n{documents:,} documents, {characters / 1e6:.1f} million characters")
    for kind in forms:
        print(f"{kind:12} {masked[kind]:6,} masked, {forms[kind] - masked[kind]:6,} left: nobody's")


if __name__ == "__main__":
    main()
