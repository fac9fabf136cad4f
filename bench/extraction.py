"""Main content and speed of ours and the peers: `python bench/extraction.py DATA... --held-out MODELS [--rounds 3]`.

In: folders with `truth.jsonl.gz` (lines with `url, page_type, main_content, with, without`) and WARC files of these
pages; or lines with a `set` instead of a type: `text` has `main_content`, `segments` only passages that must (`with`)
and must not (`without`) be in the text. Every extractor gets the decoded text of the same pages. Per page: precision,
recall and F1 over the multiset of lower-cased words (`\\w+`) of its text and of `main_content` (nothing found where
nothing is to be found is 1); the table has the means over pages, for all and for every page type, and the share of the
snippets in `with` that are in the text and of those in `without` that are. Pages with passages only have a table of
their own: F1, precision and recall over all passages, one wrongly found counting like one missed (as in trafilatura's
own evaluation). Speed: CPU time over all pages, medians of the rounds, rounds interleaved.

The package's model was fitted to these very pages, so its quality here says little; its speed does. What counts is the
line `hosts unseen`: MODELS has five models, each fitted without the pages of a fifth of the hosts and judging just
those (`scripts/train_extraction.py` makes what is missing: half a minute a model, needs lightgbm and rapidfuzz).

Needs trafilatura, lxml_html_clean, resiliparse and fastwarc.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import logging
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from machine import machine

from glassmill.corpus.extract.content import native_extractor, read_model
from glassmill.corpus.extract.encoding import decode
from glassmill.corpus.extract.extract import clean, html_to_text
from glassmill.recipe import ExtractSettings

SHIPPED, UNSEEN = "glassmill as shipped (*)", "glassmill, hosts unseen"
FOLDS = 5
WORD = re.compile(r"\w+")
SPACE = re.compile(r"\s+")
Extract = Callable[[str], str]
Scores = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class AnnotatedPage:
    """A page and what a good extractor returns of it; `None` if only passages are known. `fold` depends on the last two
    labels of the host alone."""

    url: str
    html: str
    page_type: str
    main_content: str | None
    with_: tuple[str, ...]
    without: tuple[str, ...]
    fold: int


def annotated_pages(folder: Path) -> Iterator[AnnotatedPage]:
    """All pages of the folder that are both captured and annotated."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    with gzip.open(folder / "truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        truth = {row["url"]: row for row in map(json.loads, lines)}
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=True):
                url = record.headers["WARC-Target-URI"]
                if url in truth:
                    row = truth[url]
                    page, _ = decode(record.reader.read(), record.http_charset)
                    kind, snippets = row.get("page_type") or row["set"], (row.get("with", ()), row.get("without", ()))
                    yield AnnotatedPage(url, page, kind, row.get("main_content"), *map(tuple, snippets), fold_of(url))


def fold_of(url: str) -> int:
    domain = ".".join((urlsplit(url).hostname or "").split(".")[-2:])
    return int(hashlib.md5(domain.encode(), usedforsecurity=False).hexdigest(), 16) % FOLDS


def words_of(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))


def precision_recall_f1(found: Counter[str], truth: Counter[str]) -> Scores:
    """Over words with their number: "to be or not to be" has 6.

    Example:
        >>> precision_recall_f1(words_of("a b c d"), words_of("a b"))
        (0.5, 1.0, 0.6666666666666666)
    """
    if not found or not truth:
        return (float(not found and not truth),) * 3
    common = (found & truth).total()
    precision, recall = common / found.total(), common / truth.total()
    return precision, recall, 2 * precision * recall / (precision + recall) if common else 0.0


def snippets_in(text: str, snippets: tuple[str, ...]) -> list[bool]:
    flat = SPACE.sub(" ", text)
    return [SPACE.sub(" ", snippet).strip() in flat for snippet in snippets]


def passage_scores(texts: list[str], pages: list[AnnotatedPage]) -> Scores:
    """F1, precision and recall over the passages of all pages."""
    right, missed, wrong = 0, 0, 0
    for text, page in zip(texts, pages, strict=True):
        found = snippets_in(text, page.with_)
        right += sum(found)
        missed += len(found) - sum(found)
        wrong += sum(snippets_in(text, page.without))
    return 2 * right / (2 * right + missed + wrong), right / (right + wrong), right / (right + missed)


def extractors() -> dict[str, Extract]:
    """Ours and the peers, as their users call them."""
    import trafilatura
    from resiliparse.extract.html2text import extract_plain_text

    logging.disable(logging.CRITICAL)
    settings = ExtractSettings()
    fineweb = {"favor_precision": True, "include_comments": False, "deduplicate": True}
    return {
        SHIPPED: lambda page: html_to_text(page, settings),
        "resiliparse main_content": lambda page: extract_plain_text(page, main_content=True),
        "trafilatura default": lambda page: trafilatura.extract(page) or "",
        "trafilatura FineWeb": lambda page: trafilatura.extract(page, **fineweb) or "",
    }


def run(extract: Extract, pages: list[AnnotatedPage]) -> tuple[list[str], float]:
    """The texts, and the CPU seconds they took. A page that raises has no text."""
    texts = []
    begin = time.process_time()
    for page in pages:
        try:
            texts.append(extract(page.html))
        except (ValueError, TypeError):
            texts.append("")
    return texts, time.process_time() - begin


def held_out(data: list[Path], models: Path, pages: list[AnnotatedPage]) -> list[str]:
    """The texts, every page's by the model that saw no page of its host."""
    models.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).parents[1] / "scripts" / "train_extraction.py"
    texts = [""] * len(pages)
    for fold in range(FOLDS):
        path = models / f"without-{fold}.json"
        if not path.exists():
            print(f"fitting {path}", file=sys.stderr)
            command = [sys.executable, str(script), *map(str, data), "--without", str(fold)]
            path.write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        extractor = native_extractor(read_model(path.read_text("utf-8")))
        for number, page in enumerate(pages):
            if page.fold == fold:
                texts[number] = clean(extractor.text(page.html))
    return texts


def scores_of(texts: list[str], pages: list[AnnotatedPage]) -> list[Scores]:
    return [
        precision_recall_f1(words_of(text), words_of(page.main_content or ""))
        for text, page in zip(texts, pages, strict=True)
    ]


def types_of(pages: list[AnnotatedPage]) -> list[tuple[str, int]]:
    return Counter(page.page_type for page in pages).most_common()


def report(name: str, texts: list[str], pages: list[AnnotatedPage], speed: float | None) -> str:
    """One line of the table."""
    scores = scores_of(texts, pages)
    cells = [statistics.mean(score[k] for score in scores) for k in (2, 0, 1)]
    for page_type, _ in types_of(pages):
        cells.append(
            statistics.mean(s[2] for s, page in zip(scores, pages, strict=True) if page.page_type == page_type)
        )
    for wanted in ("with_", "without"):
        hits = [hit for t, page in zip(texts, pages, strict=True) for hit in snippets_in(t, getattr(page, wanted))]
        cells.append(statistics.mean(hits) if hits else float("nan"))
    rate = f"{speed:9.1f}" if speed else f"{'':9}"
    return f"{name:25}" + "".join(f"{cell:7.3f}" for cell in cells) + rate


def against_best(ours: list[str], peers: dict[str, list[str]], pages: list[AnnotatedPage]) -> Iterator[str]:
    """Our F1 less that of the peer that is best, over all pages and for each type; twice the standard error."""
    own = [score[2] for score in scores_of(ours, pages)]
    theirs = {name: [score[2] for score in scores_of(texts, pages)] for name, texts in peers.items()}
    for kind, count in [("all", len(pages)), *types_of(pages)]:
        chosen = [number for number, page in enumerate(pages) if kind in ("all", page.page_type)]
        best = max(theirs, key=lambda name: sum(theirs[name][n] for n in chosen))
        gains = [own[number] - theirs[best][number] for number in chosen]
        error = 2 * statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
        yield f"  {kind:14} {count:5} pages  {statistics.mean(gains):+.3f} (+-{error:.3f}) against {best}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--held-out", type=Path, metavar="MODELS", help="folder of the five models")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    every = [page for folder in arguments.data for page in annotated_pages(folder)]
    if not every:
        parser.error(f"no page in the WARC files of {arguments.data} stands in its truth.jsonl.gz")
    known = extractors()
    texts: dict[str, list[str]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in known}
    for _ in range(arguments.rounds):
        for name, extract in known.items():
            texts[name], spent = run(extract, every)
            seconds[name].append(spent)
    if arguments.held_out:
        texts = {UNSEEN: held_out(arguments.data, arguments.held_out, every), **texts}
    size = statistics.mean(len(page.html) for page in every)
    packages = ", ".join(f"{name} {version(name)}" for name in ("resiliparse", "trafilatura"))
    print(f"{len(every)} pages of {size / 1000:.0f} kB; {packages}")
    print(f"{machine()}; speed: medians of {arguments.rounds} rounds of CPU time")
    speeds = {name: len(every) / statistics.median(spent) for name, spent in seconds.items()}
    whole = [number for number, page in enumerate(every) if page.main_content is not None]
    by_words(texts, every, [number for number in whole if every[number].page_type != "text"], speeds)
    by_words(texts, every, [number for number in whole if every[number].page_type == "text"], speeds)
    by_passages(texts, every, [number for number, page in enumerate(every) if page.main_content is None])
    print("(*) its model was fitted to these pages: of this line only the speed counts")
    for name in known:
        ratios = [theirs / own for theirs, own in zip(seconds[name], seconds[SHIPPED], strict=True)]
        if name != SHIPPED:
            print(f"speed: {statistics.median(ratios):.2f} times {name} ({min(ratios):.2f} to {max(ratios):.2f})")


def by_words(
    texts: dict[str, list[str]], every: list[AnnotatedPage], chosen: list[int], speeds: dict[str, float]
) -> None:
    """The table over the pages whose text is known, by type."""
    if not chosen:
        return
    pages = [every[number] for number in chosen]
    found = {name: [some[number] for number in chosen] for name, some in texts.items()}
    heads = ["F1", "P", "R", *[page_type[:6] for page_type, _ in types_of(pages)], "with", "w/out"]
    print(f"{len(pages)} pages with their text\n{'':25}" + "".join(f"{head:>7}" for head in heads) + "  pages/s")
    for name, some in found.items():
        print(report(name, some, pages, speeds.get(name)))
    if UNSEEN in found:
        peers = {name: some for name, some in found.items() if name not in (SHIPPED, UNSEEN)}
        print("F1, hosts unseen, less the best peer's (twice the standard error over pages):")
        print("\n".join(against_best(found[UNSEEN], peers, pages)))


def by_passages(texts: dict[str, list[str]], every: list[AnnotatedPage], chosen: list[int]) -> None:
    """The table over the pages of which only passages are known."""
    if not chosen:
        return
    pages = [every[number] for number in chosen]
    print(f"{len(pages)} pages with passages\n{'':25}" + "".join(f"{head:>7}" for head in ("F1", "P", "R")))
    for name, some in texts.items():
        scores = passage_scores([some[number] for number in chosen], pages)
        print(f"{name:25}" + "".join(f"{score:7.3f}" for score in scores))


if __name__ == "__main__":
    main()
