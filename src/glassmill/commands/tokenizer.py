"""`glassmill tokenizer train`, `report`, `explain`: trains a vocabulary on text files, measures one, opens one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypedDict

from rich.markup import escape
from rich.table import Table

from glassmill.commands.terminal import plain
from glassmill.errors import UserError
from glassmill.printable import printable
from glassmill.run import kinds
from glassmill.run.events import Entry, Listener
from glassmill.run.memory import peak_memory
from glassmill.run.names import named
from glassmill.run.shards import has_shards
from glassmill.tokens import bpe
from glassmill.tokens.codecs import repair
from glassmill.tokens.explain import TokenEntry
from glassmill.tokens.known import KNOWN
from glassmill.tokens.loading import OwnFiles, own_parts
from glassmill.tokens.report import Report, SymbolCount, measure
from glassmill.tokens.specials import CHAT_TEMPLATE, END_OF_TEXT, layout, special_ids
from glassmill.tokens.split import pattern_of
from glassmill.tokens.textfiles import named_texts, text_files
from glassmill.tokens.tokenizer import Tokenizer


class TrainResult(TypedDict):
    """A trained vocabulary: `symbols` found of those `wanted`, and what it took."""

    folder: str
    symbols: int
    wanted: int
    bytes: int
    seconds: float
    peak_memory_bytes: int | None


class TokenizerReport(Report):
    """A report with the names of the tokenizers."""

    tokenizer: str
    against: str | None
    vocab_size: int


class Explanation(TypedDict):
    """A text of `bytes` bytes, token by token."""

    tokenizer: str
    bytes: int
    tokens: list[TokenEntry]


def train_from_files(
    paths: Sequence[Path],
    out: Path,
    vocab_size: int,
    pattern: str,
    tie_break: bpe.TieBreak,
    threads: int,
    notify: Listener,
) -> TrainResult:
    """Trains a vocabulary on text files and writes the tokenizer's folder; `notify` receives progress events.

    Raises:
        UserError: there is no text, or an invalid setting.
    """
    if not 262 <= vocab_size <= 200_064:
        raise UserError(f"--vocab-size {vocab_size}: must be between 262 and 200064")
    files, regex = text_files(paths), pattern_of(pattern)
    size, begin = layout(vocab_size), time.perf_counter()

    def warned(line: str) -> None:
        notify(Entry(time.time(), "count", kinds.Warned(line)))

    texts = chain.from_iterable(named_texts(file, warn=warned) for file in files)
    seen = _Counted(texts, sum(file.stat().st_size for file in files), notify)

    def merged(done: int) -> None:
        notify(Entry(time.time(), "merge", kinds.Progress(done, size.symbols - bpe.BYTES, "merges")))

    symbols = bpe.train(seen, size.symbols, regex, tie_break=tie_break, threads=threads, progress=merged)
    if not seen.bytes:
        raise UserError(f"no text in {', '.join(map(str, paths))}: a vocabulary needs some to learn from")
    training = {"tie_break": tie_break, "bytes": seen.bytes, "documents": seen.documents}
    ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
    own = OwnFiles(ranks, regex, special_ids(len(ranks)), END_OF_TEXT, CHAT_TEMPLATE, training)
    Tokenizer(**own_parts(own)).save(out)
    return {
        "folder": str(out),
        "symbols": len(symbols),
        "wanted": size.symbols,
        "bytes": seen.bytes,
        "seconds": round(time.perf_counter() - begin, 2),
        "peak_memory_bytes": peak_memory() or None,
    }


def report_on(name: str | Path, paths: Sequence[Path], against: str | Path | None, max_bytes: int) -> TokenizerReport:
    """The report of one tokenizer on some text, at most `max_bytes` of each file.

    Raises:
        UserError: no such tokenizer or text.
    """
    tokenizer = Tokenizer.load(name)
    other = Tokenizer.load(against) if against else None
    texts = chain.from_iterable(named_texts(file, max_bytes) for file in text_files(paths))
    report = measure(tokenizer, texts, other)
    return {
        "tokenizer": str(name),
        "against": str(against) if against else None,
        "vocab_size": tokenizer.vocab_size,
        **report,
    }


def find_tokenizer(word: str, runs: Path) -> Path | str:
    """The folder of the run of that name, or else what was typed: a path, or a known name."""
    found = [] if word in KNOWN or Path(word).exists() else list(named(Path(word), runs, _has_tokenizer))
    if len(found) > 1:
        raise UserError(f"tokenizer {word} matches several runs: {', '.join(map(str, found))}; give the path")
    if not found:
        return word
    return found[0] if (found[0] / "tokenizer.json").is_file() else found[0] / "model"


def _has_tokenizer(run: Path) -> bool:
    return any((folder / "tokenizer.json").is_file() for folder in (run, run / "model"))


def find_texts(path: Path, runs: Path) -> Path:
    """The corpus run of that name, or else the path that was typed."""
    found = [] if path.exists() else list(named(path, runs, lambda run: has_shards(run, "documents")))
    return found[0] if len(found) == 1 else path


def explain(name: str | Path, text: str) -> Explanation:
    """How a tokenizer cuts a text.

    Raises:
        UserError: no such tokenizer.
    """
    tokenizer = Tokenizer.load(name)
    return {"tokenizer": str(name), "bytes": len(repair(text).encode()), "tokens": tokenizer.explain(text)}


def explanation_table(explanation: Explanation) -> list[Table | str]:
    """The tokens for people, one a row."""
    table = Table(box=None, pad_edge=False)
    for head, justify in (("id", "right"), ("text", "left"), ("bytes", "left"), ("cut as", "left")):
        table.add_column(head, justify=justify)  # type: ignore[arg-type]
    piece = -1
    for token in explanation["tokens"]:
        first = token["piece"] != piece
        piece = token["piece"]
        shown = escape(printable(token["text"]).replace(" ", "␣"))
        table.add_row(str(token["id"]), shown, token["bytes"], token["branch"] if first else "")
    tokens, size = len(explanation["tokens"]), explanation["bytes"]
    return [table, f"{tokens:,} tokens for {size:,} bytes" + (f": {size / tokens:.2f} bytes a token" if tokens else "")]


def training_table(done: TrainResult) -> list[Table]:
    """The result of a training, for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("vocabulary", f"{done['symbols']:,} symbols in {done['folder']}")
    table.add_row("text", f"{done['bytes'] / 1e6:,.1f} MB in {done['seconds']:,.1f} s")
    if done["peak_memory_bytes"]:
        table.add_row("peak memory", f"{done['peak_memory_bytes'] / 1e6:,.0f} MB")
    if done["symbols"] < done["wanted"]:
        table.add_row(
            "[yellow]note[/yellow]",
            f"too little text for {done['wanted']:,} symbols",
        )
    return [table]


def report_tables(report: TokenizerReport) -> list[Table]:
    """The report for people."""
    groups = Table(box=None, pad_edge=False)
    heads = ["text", "MB", "bytes/token", "tokens/word", "single bytes", "symbols used"]
    for place, head in enumerate(heads + (["against", "ratio"] if report["against"] else [])):
        groups.add_column(head, justify="left" if place == 0 else "right")
    for line in [*report["groups"], report["total"]]:
        cells = [plain(line["name"]), f"{line['bytes'] / 1e6:.2f}", f"{line['bytes_per_token']:.3f}",
                 f"{line['fertility']:.2f}", f"{line['single_byte_share']:.1%}", f"{line['used']:,}"]  # fmt: skip
        if report["against"]:
            cells += [f"{line['against_bytes_per_token']:.3f}", f"{line['ratio']:.3f}"]
        groups.add_row(*cells)
    vocabulary = report["vocabulary"]
    more = Table(box=None, show_header=False, pad_edge=False)
    more.add_row("symbols", f"{vocabulary['symbols']:,}, {vocabulary['used']:,} of them in this text")
    more.add_row("never seen", f"{vocabulary['never_seen']:,}: {_names(vocabulary['never_seen_longest'])}")
    more.add_row("longest", _names(vocabulary["longest"]))
    if "curve" in report:
        points = report["curve"][:: max(1, len(report["curve"]) // 8)]
        more.add_row("bytes/token at", ", ".join(f"{size:,}: {value:.2f}" for size, value in points))
    return [groups, more]


class _Counted:
    """Counts the documents while they are read, with progress about once a second."""

    def __init__(self, texts: Iterator[tuple[str, str]], total: int, notify: Listener) -> None:
        self._texts, self._total, self._notify = texts, total, notify
        self.bytes = self.documents = 0

    def __iter__(self) -> Iterator[str]:
        last = time.monotonic()
        for _, text in self._texts:
            self.documents += 1
            self.bytes += len(text.encode("utf-8", "replace"))
            if time.monotonic() - last > 1:
                last = time.monotonic()
                done = self.bytes // 1_000_000
                total = max(done, self._total // 1_000_000)
                self._notify(Entry(time.time(), "count", kinds.Progress(done, total, "MB")))
            yield text


def _names(entries: list[SymbolCount]) -> str:
    return escape(", ".join(repr(entry["text"])[:42] for entry in entries[:8]))
