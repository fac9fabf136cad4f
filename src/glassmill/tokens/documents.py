"""The documents of a corpus run, as the stages tokenizer and tokens read them: by shard and row, never joined."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq

from glassmill.errors import UserError
from glassmill.run.integrity import check_run_files
from glassmill.run.shards import find_shards, names_in

ROWS = 256
HASHES = 2**64


def document_shards(corpus: Path) -> list[Path]:
    """The Parquet files of kept documents, in order.

    Raises:
        UserError: there are none, or one has other bytes than the finished run wrote.
    """
    shards = find_shards(corpus, "documents")
    if not shards:
        raise UserError(f"{corpus} is not a corpus run: it has no shards/documents-*.parquet")
    check_run_files(corpus, names_in(corpus, shards))
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
    """The texts, in order; of a corpus above `max_bytes` of text about so much, drawn evenly from all of it.

    A hash of a document's id decides. The tokens stage holds out those with the least; they are drawn last.
    """
    shards = document_shards(corpus)
    share = max_bytes / max(1, sum(map(_text_bytes, shards)))
    if share >= 1:
        yield from chain.from_iterable(read_column(shard, "text") for shard in shards)
        return
    greatest = max(chain.from_iterable(map(document_hashes, shards)))  # is drawn, however small the share
    least = min(int((1 - share) * HASHES), greatest)
    for shard in shards:
        for hashed, text in zip(document_hashes(shard), read_column(shard, "text"), strict=True):
            if hashed >= least:
                yield text


def document_hashes(shard: Path) -> Iterator[int]:
    """A 64-bit number of every document that depends only on its id."""
    return map(document_hash, read_column(shard, "id"))


def document_hash(document_id: str) -> int:
    """A 64-bit number that depends only on the document's id."""
    return int.from_bytes(hashlib.blake2b(document_id.encode(), digest_size=8).digest(), "little")


def _text_bytes(shard: Path) -> int:
    """Bytes of text in a shard, from the file's footer."""
    footer = pq.read_metadata(shard)
    groups = (footer.row_group(number) for number in range(footer.num_row_groups))
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == "text")
