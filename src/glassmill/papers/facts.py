"""Everything that the papers are written from, gathered once: the chain, and of each corpus in it what it holds."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from glassmill.corpus.document import documents, kind_of_cause
from glassmill.corpus.look.shown import shown
from glassmill.corpus.rules import rule_named
from glassmill.errors import UserError
from glassmill.foreign_json import load_object
from glassmill.infer.find import read_meta
from glassmill.papers.chain import Chain, Part
from glassmill.papers.documents import Row, Summary, rows_of, summary_of
from glassmill.papers.licences import find_licences
from glassmill.run.files import atomic_path
from glassmill.run.finished import is_done, read_manifest
from glassmill.run.inputs import InputRow, recorded_inputs
from glassmill.run.integrity import check_run_files, check_sealed

EXAMPLES = 3
NAMES = ("id", "url", "source", "step", "rule", "value", "bound", "detail")
"""Columns of `dropped.csv`."""
DOCUMENTS, DROPPED = "documents.csv", "dropped.csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Example(TypedDict):
    """A dropped document, without its text."""

    url: str
    says: str


class Dropped(TypedDict):
    """What one rule dropped."""

    step: str
    rule: str
    title: str
    documents: int
    examples: list[Example]


@dataclass(slots=True)
class CorpusFacts:
    """A corpus run: what it kept, dropped and set aside, and its settings as its manifest has them."""

    part: Part
    summary: Summary
    dropped: list[Dropped]
    quarantined: Mapping[str, int]
    settings: Mapping[str, Any]
    synthetic: bool
    num_inputs: int


@dataclass(slots=True)
class Facts:
    """What the papers say."""

    chain: Chain
    note: Mapping[str, Any]
    config: Mapping[str, Any]
    corpora: list[CorpusFacts]
    tokens: Sequence[Mapping[str, Any]] = field(default_factory=list)
    results: dict[str, float] = field(default_factory=dict)
    memorised: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The name as a file may have it."""
        return self.chain.name.replace("/", "-")


def gather(chain: Chain, out: Path, clear: bool, told: Callable[[str], None], lists: bool = True) -> Facts:
    """Reads the corpora of a chain; of one that was found to be changed, nothing is read.

    Args:
        out: With `lists`, `documents.csv` and `dropped.csv` in this folder have a line for every document.
        clear: Do not mask personal data in URLs and names.

    Raises:
        UserError: nobody looked whether the files are as they were written, and one is not.
    """
    corpora: list[CorpusFacts] = []
    for part in chain.of_stage("corpus"):
        if part.state == "changed":
            continue
        told(f"reading {part.name}")
        if part.state == "not looked at" and part.manifest:
            check_run_files(part.folder, part.manifest["files"])
        corpora.append(_corpus(chain, part, out, clear, lists, append=bool(corpora)))
    if chain.model and not any(part.state == "changed" for part in chain.parts):
        check_sealed(chain.model)
    note = read_meta(chain.model) if chain.model else {}
    config = load_object(chain.model / "config.json") if chain.model else {}
    tokens = [load_object(part.folder / "index.json") for part in chain.of_stage("tokens")]
    report = _report(chain)
    results = {name: value for name, value in report.items() if type(value) in (int, float)}
    return Facts(chain, note, config, corpora, tokens, results, report.get("memorised"))


def _corpus(chain: Chain, part: Part, out: Path, clear: bool, lists: bool, append: bool) -> CorpusFacts:
    assert part.manifest is not None
    files = {row["name"]: row for row in _inputs(chain, part)}
    masked = shown(part.folder)
    show = str if clear else (lambda value: str(masked(value)))
    licences = find_licences(files.values())
    rows = rows_of(part.folder, licences, files, show)
    dropped = _dropped_rows(part.folder, show)
    with ExitStack() as stack:
        if lists:
            rows = stack.enter_context(_Listing(out / DOCUMENTS, part.name, append)).of_rows(rows)
            dropped = stack.enter_context(_Listing(out / DROPPED, part.name, append)).of_dropped(dropped)
        summary = summary_of(rows)
        rules = _rules(dropped)
    quarantined = Counter(kind_of_cause(entry["cause"]) for entry in _quarantine(part.folder))
    settings = part.manifest["settings"].get("settings", {})
    words = settings.get("inputs") if isinstance(settings, Mapping) else None
    synthetic = any(link.argument == "web" for link in part.inputs) and not words
    return CorpusFacts(part, summary, rules, quarantined, part.manifest["settings"], synthetic, len(files))


def _inputs(chain: Chain, corpus: Part) -> Iterator[InputRow]:
    """The files that the documents were read from: of the corpus itself, of `add`, or of the generated web."""
    own = [row for row in recorded_inputs(corpus.folder) if row["setting"] == "corpus.inputs"]
    yield from own
    for link in corpus.inputs:
        before = next((part for part in chain.parts if part.name == link.to), None)
        if before is not None and before.stage == "add":
            yield from recorded_inputs(before.folder)
        if before is not None and before.stage == "miniweb" and not own and before.manifest:
            for name, entry in before.manifest["files"].items():
                path = before.folder / name
                if name.startswith("warc/") and path.is_file():
                    yield {"setting": "", "name": path.name, "path": str(path), "content": entry["sha256"],
                           "bytes": entry["bytes"], "modified": int(path.stat().st_mtime)}  # fmt: skip


def _report(chain: Chain) -> Mapping[str, Any]:
    """The report of the first examination of the model that is found beside it."""
    first = chain.parts[0]
    if first.manifest is None:
        return {}
    for run in sorted((first.folder.resolve().parent.parent / "eval").glob("*")):
        if is_done(run) and read_manifest(run)["inputs"].get("model") == first.manifest["content"]:
            return load_object(run / "report.json")
    return {}


# --- what was dropped -------------------------------------------------------------------------------------------------


def _dropped_rows(corpus: Path, show: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    for one in documents(corpus, dropped=True):
        told = {name: getattr(one, name) for name in NAMES}
        yield {**told, "url": show(one.url), "source": show(one.source), "detail": show(one.detail)}


def _rules(dropped: Iterator[dict[str, Any]]) -> list[Dropped]:
    found: dict[str, Dropped] = {}
    for row in dropped:
        rule = rule_named(row["rule"])
        entry = found.setdefault(
            row["rule"],
            {"step": row["step"], "rule": row["rule"], "title": rule.title if rule else "", "documents": 0,
             "examples": []},
        )  # fmt: skip
        entry["documents"] += 1
        if len(entry["examples"]) < EXAMPLES:
            says = rule.sentence(row["value"], row["bound"]) if rule else row["rule"]
            entry["examples"].append({"url": row["url"], "says": says})
    return sorted(found.values(), key=lambda one: -one["documents"])


def _quarantine(corpus: Path) -> Iterator[Mapping[str, Any]]:
    path = corpus / "quarantine.jsonl"
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines)


# --- a line for every document ----------------------------------------------------------------------------------------


class _Listing:
    """A CSV file that is whole or absent; with `append`, what is there already stays in it."""

    def __init__(self, path: Path, corpus: str, append: bool) -> None:
        self.path, self.corpus, self.append = path, corpus, append
        self._stack = ExitStack()

    def __enter__(self) -> _Listing:
        before = self.path.read_text(encoding="utf-8") if self.append and self.path.is_file() else ""
        temporary = self._stack.enter_context(atomic_path(self.path))
        self._file = self._stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        self._file.write(before)
        self._writer = csv.writer(self._file)
        self._head = not before
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def of_rows(self, rows: Iterator[Row]) -> Iterator[Row]:
        head = ("corpus", "id", "path or URL", "read from", "sha256 of its text", "sha256 of the file", "bytes of text",
                "date", "language", "licence", "stated in", "personal data masked")  # fmt: skip
        self._write(head if self._head else ())
        for row in rows:
            pii = "; ".join(f"{kind} {number}" for kind, number in sorted(row.pii.items()))
            self._write(
                (self.corpus, row.id, row.url, row.source, row.sha256, row.file_sha256, row.bytes, row.date,
                 row.language, row.licence, row.licence_from, pii)
            )  # fmt: skip
            yield row

    def of_dropped(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        self._write(("corpus", *NAMES) if self._head else ())
        for row in rows:
            self._write((self.corpus, *(row[name] for name in NAMES)))
            yield row

    def _write(self, cells: Sequence[object]) -> None:
        if cells:
            self._writer.writerow([_cell(cell) for cell in cells])


def _cell(value: object) -> object:
    """A cell that no spreadsheet computes: a name that begins like a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def read_stats_of(part: Part) -> Mapping[str, Any]:
    """The numbers of a run, which have no checksum; empty where there are none."""
    try:
        return load_object(part.folder / "stats.json")
    except UserError:
        return {}
