"""The documents of a corpus run, as the stages tokenizer and tokens read them: by shard and row, never joined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from glassmill.errors import UserError
from glassmill.run.integrity import check_run_files

ROWS = 256


def document_shards(corpus: Path) -> list[Path]:
    """The Parquet files of kept documents, in order.

    Raises:
        UserError: there are none, or one has other bytes than the finished run wrote.
    """
    shards = sorted((corpus / "shards").glob("documents-*.parquet"))
    if not shards:
        raise UserError(f"{corpus} is not a corpus run: it has no shards/documents-*.parquet")
    check_run_files(corpus, [f"shards/{shard.name}" for shard in shards])
    return shards


def count_documents(corpus: Path) -> int:
    """The number of kept documents, from the files' footers."""
    return sum(pq.read_metadata(shard).num_rows for shard in document_shards(corpus))


def read_column(shard: Path, name: str) -> Iterator[str]:
    """One text column of a shard, a few hundred rows at a time."""
    with pq.ParquetFile(shard) as file:
        for batch in file.iter_batches(batch_size=ROWS, columns=[name]):
            yield from batch.column(0).to_pylist()


def document_texts(corpus: Path, max_bytes: int) -> Iterator[str]:
    """The texts, in order, up to `max_bytes` of UTF-8 (the document that reaches the limit is the last)."""
    left = max_bytes
    for shard in document_shards(corpus):
        for text in read_column(shard, "text"):
            if left <= 0:
                return
            left -= len(text.encode())
            yield text
