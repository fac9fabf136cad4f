"""`glassmill why`: a page's path through the steps of a run, with every number that was compared with a bound.

In: a run of the corpus stage or of `glassmill add`, and a URL, or a file's name or path, which stands for all documents
that were made of it. What `add` set aside is looked up in its own run, which the corpus names as its input. Out: for
each record of that URL how it ended, and for each step the rules with value and bound. The run stores the number that
decided; the others are measured again, with the run's filters and settings, on the text that it kept: with one bound
out of reach and all others open, a filter has to report that rule's value. A text that C4 or a later step dropped is
measured as it was when it was dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from glassmill.corpus.chain import LOW_QUALITY, STEPS
from glassmill.corpus.document import Document, Quarantined, Span
from glassmill.corpus.judge.gopher import gopher_quality, gopher_repetition
from glassmill.corpus.judge.language import LOW_SCORE
from glassmill.corpus.judge.quality import c4, fineweb
from glassmill.corpus.judge.rule import Verdict
from glassmill.corpus.judge.words import WordCounts, count_words
from glassmill.corpus.look.shown import masked_for
from glassmill.corpus.rules import rule_named
from glassmill.errors import UserError
from glassmill.printable import valid
from glassmill.recipe import CorpusSettings, Settings, load_recipe
from glassmill.run.shards import find_shards, has_shards, shard_called

FAR = 1e18
STEPS_OF_ADD = ("read", "extract")
_COUNTED = {"short_line", "max_word_length", "min_line_words", "curly_brace", "enabled"}
"""Settings of C4 and FineWeb that define what is counted, not how much is too much."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison. `passed` is None for a plain fact; `bound` is NaN where there is none; `says` is the sentence."""

    rule: str
    value: float
    bound: float
    passed: bool | None
    detail: str = ""
    says: str = ""


@dataclass(slots=True)
class Way:
    """The path of one record: where it was found, how it ended (`kept`, `dropped`, `quarantined`), its steps."""

    url: str
    source: str
    offset: int
    end: str
    steps: list[tuple[str, list[Check]]] = field(default_factory=list)


def why(run: Path, url: str) -> list[Way]:
    """The paths of all records of `url` in `run`; several where it was found several times.

    Raises:
        UserError: not a finished run, or no record has that URL (the message names similar ones).
    """
    url = valid(url)
    settings = load_recipe(run / "recipe.toml").corpus
    added, steps = _added(run, settings), _steps(run)
    for name in _names(url):
        ways = [_way_of(document, settings, steps) for document in _find(run, name)]
        ways += [_quarantined(entry) for one in (run, *added) for entry in _quarantine(one) if _is_of(entry, name)]
        if ways:
            return ways
    near = _near(run, url)
    hint = f"; similar: {', '.join(map(masked_for(settings.pii), near))}" if near else ""
    raise UserError(f"no record of {url!r} in {run}{hint}")


def way_of(run: Path, shard: str, row: int) -> Way:
    """The path of one kept document, from its place in the run.

    Raises:
        UserError: the run has no such shard, or the shard no such row.
    """
    settings = load_recipe(run / "recipe.toml").corpus
    return _way_of(_document(row_at(run, shard, row)), settings, _steps(run))


def _steps(run: Path) -> list[str]:
    is_corpus = has_shards(run, "dropped")
    return [step.name for step in STEPS if is_corpus or step.name in STEPS_OF_ADD]


def _names(url: str) -> list[str]:
    """What `url` may be called in the corpus: itself; of a path, its last folders and its name, longest first."""
    parts = [part for part in url.replace("\\", "/").split("/") if part not in ("", ".")]
    return [url] if "://" in url else list(dict.fromkeys([url, *("/".join(parts[at:]) for at in range(len(parts)))]))


def _added(run: Path, settings: CorpusSettings) -> list[Path]:
    """The runs of `glassmill add` among the inputs."""
    found = []
    for word in settings.inputs:
        path = Path(word).expanduser()
        beside = run.parent.parent / "add" / path.name  # the command may be called from another folder
        found += [one for one in (path, beside) if one.parent.name == "add" and (one / "quarantine.jsonl").is_file()][
            :1
        ]
    return found


def _is_of(entry: Quarantined, name: str) -> bool:
    return name in (entry["url"], entry["source"]) or entry["url"].startswith((f"{name}#", f"{name}/"))


def _way_of(document: Document, settings: CorpusSettings, steps: Sequence[str]) -> Way:
    way = Way(document.url, document.source, document.offset, "dropped" if document.rule else "kept")
    rule = rule_named(document.rule)
    says = rule.sentence(document.value, document.bound) if rule else ""
    decided = Check(document.rule, document.value, document.bound, False, document.detail, says)
    for step in steps:
        if (step == "classifier" and not settings.classifier.path) or (step == "exclude" and document.step != step):
            continue
        last = step == document.step
        checks = list(_checks(step, document, settings)) if not last or step in _MEASURED else []
        if last:
            checks = [check for check in checks if check.rule != document.rule and not check.detail] + [decided]
        way.steps.append((step, checks))
        if last:
            break
    return way


def _checks(step: str, document: Document, settings: CorpusSettings) -> Iterator[Check]:
    """What is known about a step that the document passed."""
    section = getattr(settings, step, None)
    if isinstance(section, Settings) and not getattr(section, "enabled", True):
        yield Check("switched off", 0, math.nan, None)
    elif step == "extract" and document.text:
        size = len(document.text)
        yield Check("characters", size, 1, True, says=f"characters of text: {size:,}")
    elif step == "language":
        score, bound = document.language_score, settings.language.min_score
        yield Check("language/score", score, bound, True, document.language, LOW_SCORE.sentence(score, bound))
    elif step == "classifier" and document.quality_score is not None:
        score, bound = document.quality_score, settings.classifier.min_score
        yield Check("classifier/score", score, bound, True, says=LOW_QUALITY.sentence(score, bound))
    elif step == "dedup":
        size = document.cluster_size
        yield Check("dedup/cluster_size", size, math.nan, None, says=f"copies and near copies, this one too: {size:,}")
    elif step == "pii":
        for kind in sorted({span.kind for span in document.pii}):
            number = sum(span.kind == kind for span in document.pii)
            yield Check(f"pii/{kind}", number, math.nan, None, says=f"masked: {number:,}")
    elif step in _MEASURED and not document.text:
        yield Check("text not stored", 0, math.nan, None, "corpus.pii.dropped=omitted")
    elif step in _MEASURED:
        for check in measure(document.text, step, settings):
            later = "" if check.passed else "on the text as a later step left it"
            yield Check(check.rule, check.value, check.bound, True, later, check.says)


def measure(text: str, step: str, settings: CorpusSettings) -> Iterator[Check]:
    """Every rule of a filter with its value on `text`."""
    section, judge = getattr(settings, step), _MEASURED[step]
    fields = [name for name in type(section).model_fields if name not in _COUNTED]
    loose = section.model_copy(update={name: _bound(name, getattr(section, name), far=True) for name in fields})
    words = count_words(text)
    for name in fields:
        given = getattr(section, name)
        for part in range(len(given) if isinstance(given, tuple) else 1):
            tight = loose.model_copy(update={name: _bound(name, given, far=False, part=part)})
            verdict = judge(text, words, tight)
            if verdict is None:
                continue
            bound = float(given[part][1] if isinstance(given, tuple) else given)
            passed = verdict.value >= bound if name.startswith("min_") else verdict.value <= bound
            value = float(verdict.value)
            yield Check(verdict.rule.name, value, bound, passed, says=verdict.rule.sentence(value, bound))


def _bound(name: str, given: Any, far: bool, part: int | None = None) -> Any:
    """A bound that nothing breaks (`far`), or that everything breaks; of a list only number `part` is moved."""
    out = FAR if far != name.startswith("min_") else -FAR
    if not isinstance(given, tuple):
        return int(out) if isinstance(given, int) else out
    return tuple((n, -FAR if number == part and not far else FAR) for number, (n, _) in enumerate(given))


_MEASURED: dict[str, Callable[[str, WordCounts, Any], Verdict | None]] = {
    "gopher_repetition": gopher_repetition,
    "gopher_quality": gopher_quality,
    "c4": lambda text, words, bounds: c4(text, bounds)[1],
    "fineweb": lambda text, words, bounds: fineweb(text, bounds),
}


# --- finding ----------------------------------------------------------------------------------------------------------


def _find(run: Path, name: str) -> Iterator[Document]:
    """The documents of that URL; else those of the file of that name."""
    import pyarrow.compute as pc

    by_url = ds.field("url") == name
    of_file = (ds.field("source") == name) | pc.starts_with(ds.field("url"), f"{name}#")
    of_file |= pc.starts_with(ds.field("url"), f"{name}/")
    datasets = _datasets(run)
    for wanted in (by_url, of_file):
        rows = [row for dataset in datasets for row in dataset.to_table(filter=wanted).to_pylist()]
        yield from map(_document, rows)
        if rows:
            return


def row_at(run: Path, shard: str, row: int, columns: list[str] | None = None) -> dict[str, Any]:
    """A kept document by its place: the name of a shard, and a row in it; all columns, or some.

    Raises:
        UserError: there is none.
    """
    path = shard_called(run, shard)
    if path is None:
        raise UserError(f"{run} has no shard {shard!r}")
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if 0 <= row - first < size:
                found = file.read_row_group(group, columns=columns, use_threads=False).slice(row - first, 1)
                return dict(found.to_pylist()[0])
            first += size
    raise UserError(f"{path} has no row {row:,}")


def _document(row: dict[str, Any]) -> Document:
    row["pii"] = [Span(**span) for span in row.get("pii") or []]
    known = {key: value for key, value in row.items() if key in Document.__dataclass_fields__}
    return Document(**{"date": "", **known})


def _near(run: Path, url: str, most: int = 3) -> list[str]:
    """Addresses that contain the last part of `url`."""
    import pyarrow.compute as pc

    part = url.rstrip("/").rpartition("/")[2] or url
    found: dict[str, None] = {}
    wanted = pc.match_substring(ds.field("url"), part, ignore_case=True)
    for dataset in _datasets(run):
        for name in dataset.scanner(columns=["url"], filter=wanted).head(most)["url"].to_pylist():
            found[name] = None
    return list(found)[:most]


def _datasets(run: Path) -> list[ds.Dataset]:
    """The documents of a run, and those that it dropped; a run of `add` drops none."""
    kept, dropped = (find_shards(run, kind) for kind in ("documents", "dropped"))
    if not kept:
        raise UserError(f"{run} is not a finished run of the corpus stage or of add (no shards/documents-*.parquet)")
    return [ds.dataset(paths, format="parquet") for paths in (kept, dropped) if paths]


def _quarantine(run: Path) -> list[Quarantined]:
    path = run / "quarantine.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _quarantined(entry: Quarantined) -> Way:
    check = Check("quarantined", 0, math.nan, False, entry["cause"])
    return Way(entry["url"], entry["source"], entry["offset"], "quarantined", [("read", [check])])
