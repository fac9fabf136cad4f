"""The verb `tokenizer`: clean documents -> a byte-level BPE vocabulary, with the history of its merges.

In: `shards/documents-*.parquet` of a corpus run; of a large one an even sample. Out: the files of
`glassmill.tokens.formats`, and `merges.jsonl`: every merge in training order, with how often its pair was joined. With
`tokenizer.base` nothing is learned: the vocabulary is that of a model or file, and only its use on these documents is
measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from glassmill.errors import UserError
from glassmill.recipe import TokenizerSettings
from glassmill.run import kinds
from glassmill.run.files import atomic_write
from glassmill.run.folder import RunFolder
from glassmill.tokens import formats
from glassmill.tokens.bpe import BYTES, Merge, birth_counts, compression_curve, train
from glassmill.tokens.documents import count_documents, document_texts
from glassmill.tokens.loading import OwnFiles, own_parts
from glassmill.tokens.specials import CHAT_TEMPLATE, END_OF_TEXT, layout, special_ids
from glassmill.tokens.split import pattern_of, resolved
from glassmill.tokens.tokenizer import Tokenizer

__all__ = ["VERSION", "Tokenizer", "make", "resolved"]

VERSION = 2
EVENTS = 160
BATCH = 256


def make(run: RunFolder, settings: TokenizerSettings, documents: Path) -> None:
    """Trains the vocabulary, or takes that of `settings.base`, and publishes the run.

    Reuses the ranks if an earlier attempt finished training.

    Raises:
        UserError: the corpus has no documents, or the base has no vocabulary that can be read.
    """
    total = count_documents(documents)
    if total == 0:
        raise UserError(f"{documents} kept no documents; its funnel (stats.json) says which rule dropped them")
    if settings.base is None:
        tokenizer = _trained(run, settings, documents, total)
    else:
        tokenizer = Tokenizer.load(settings.base)
        run.emit(kinds.Note(f"taking the vocabulary of {settings.base}: {tokenizer.vocab_size:,} tokens"))
    counts, num_bytes, num_documents = _count(run, tokenizer, documents, settings.max_bytes, total)
    merges = tokenizer.merges if settings.base is None else []
    births = birth_counts(counts, merges)
    numbers = tokenizer.symbol_ids()
    symbols = [tokenizer.token_bytes(number) for number in numbers]
    tokenizer.save(run.path)
    lines = merge_lines(symbols, merges, births)
    rows = [json.dumps(kinds.fields_of(line), ensure_ascii=False, allow_nan=False) + "\n" for line in lines]
    atomic_write(run.path / "merges.jsonl", "".join(rows))
    for place in sample_places(len(lines), EVENTS):
        run.emit(lines[place])
    run.finish(_stats(tokenizer, symbols, births, counts[numbers], num_bytes, num_documents), {"merges": len(births)})


def _trained(run: RunFolder, settings: TokenizerSettings, documents: Path, total: int) -> Tokenizer:
    """A vocabulary learned from the documents."""
    size, pattern = layout(settings.vocab_size), pattern_of(settings.pattern)
    vocab_path = run.path / "vocab.tiktoken"
    if not vocab_path.is_file():
        texts = _watched(run, documents, settings.max_bytes, total, "reading documents")
        symbols = train(
            _then_tell(run, texts),
            size.symbols,
            pattern,
            tie_break=settings.tie_break,
            threads=settings.threads,
            progress=lambda done: run.emit(kinds.Progress(done, size.symbols - BYTES, "merges", "joining pairs")),
        )
        atomic_write(vocab_path, formats.rank_lines({symbol: rank for rank, symbol in enumerate(symbols)}))
    ranks = formats.parse_ranks(vocab_path.read_bytes(), str(vocab_path))
    if len(ranks) < size.symbols:
        run.emit(
            kinds.Warned(
                f"the corpus has only {len(ranks) - BYTES} pairs to merge: {len(ranks)} symbols instead of "
                f"{size.symbols}; read more text or lower tokenizer.vocab_size"
            )
        )
    training = {"tie_break": settings.tie_break, "corpus": documents.name, "documents": total}
    files = OwnFiles(ranks, pattern, special_ids(len(ranks)), END_OF_TEXT, CHAT_TEMPLATE, training)
    return Tokenizer(**own_parts(files))


def merge_lines(symbols: Sequence[bytes], merges: Sequence[Merge], births: Sequence[int]) -> list[kinds.Merge]:
    """The rows of `merges.jsonl`: all merges, and how often each was applied to the training text."""
    return [
        kinds.Merge(
            rank=BYTES + place,
            left=formats.show(symbols[left]),
            right=formats.show(symbols[right]),
            token=formats.show(symbols[BYTES + place]),
            count=births[place],
            left_id=left,
            right_id=right,
        )
        for place, (left, right) in enumerate(merges)
    ]


def sample_places(length: int, count: int) -> list[int]:
    """About `count` places of a list, denser at the start: the first merges matter most."""
    if length <= count:
        return list(range(length))
    return sorted({int(place) - 1 for place in np.geomspace(1, length, count)})


def _watched(run: RunFolder, corpus: Path, max_bytes: int, total: int, message: str) -> Iterator[str]:
    """The corpus, with about a hundred progress events on the way."""
    every = max(1, total // 100)
    done = 0
    for done, text in enumerate(document_texts(corpus, max_bytes), start=1):
        if done % every == 0:
            run.emit(kinds.Progress(done, total, "documents", message))
        yield text
    run.emit(kinds.Progress(done, done, "documents", message))


def _then_tell(run: RunFolder, texts: Iterator[str]) -> Iterator[str]:
    yield from texts
    run.emit(kinds.Note("joining the most frequent pairs, again and again"))


def _count(
    run: RunFolder, tokenizer: Tokenizer, corpus: Path, max_bytes: int, total: int
) -> tuple[np.ndarray, int, int]:
    """How often each id occurs in the encoded text; bytes and documents of the text."""
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    num_bytes = num_documents = 0
    texts = _watched(run, corpus, max_bytes, total, "counting tokens")
    while batch := list(islice(texts, BATCH)):
        for ids in tokenizer.encode_batch(batch):
            counts += np.bincount(ids, minlength=tokenizer.vocab_size)
        num_bytes += sum(len(text.encode()) for text in batch)
        num_documents += len(batch)
    return counts, num_bytes, num_documents


def _stats(
    tokenizer: Tokenizer,
    symbols: Sequence[bytes],
    births: Sequence[int],
    counts: np.ndarray,
    num_bytes: int,
    num_documents: int,
) -> dict[str, object]:
    num_tokens = int(counts.sum())
    single = sum(int(count) for count, symbol in zip(counts, symbols, strict=True) if len(symbol) == 1)
    longest = sorted(symbols, key=len, reverse=True)[:20]
    return {
        "vocab_size": tokenizer.vocab_size,
        "symbols": len(symbols),
        "merges": len(births),
        "documents": num_documents,
        "bytes": num_bytes,
        "tokens": num_tokens,
        "bytes_per_token": round(num_bytes / max(1, num_tokens), 4),
        "single_byte_share": round(single / max(1, num_tokens), 4),
        "never_used": int((counts == 0).sum()),
        "longest": [formats.show(symbol) for symbol in longest],
        "compression": compression_curve(num_bytes, births),
    }
