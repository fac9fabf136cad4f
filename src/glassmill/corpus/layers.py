"""What is expensive and seldom changes, kept beside the runs: the text of every page, and what was measured of texts.

    runs/corpus/.layers/3f/9a1c...-/    a shard's layer, found by a hash over the bytes and range of its inputs, the
                                        settings and versions that reading and extraction depend on
      pages-0000.parquet                of every record its text, or why it has none, in the order of the inputs
      layer.json                        checksums; where the range began and ended; written last
      judged.memo, masked.memo          results of steps by the hash of their text, for the last few settings of each

So a run with another bound reads neither pages nor HTML: it judges stored texts, and takes from the results of steps
those whose settings are the same. What comes out is what a run from nothing gives. Nobody else may read the folder: the
texts are not masked. A layer may be deleted at any time, and one that is damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.corpus.document import Document, Lost, document_id
from glassmill.corpus.memo import write
from glassmill.corpus.read.cut import Found, Source
from glassmill.run.files import remove, sha256_file
from glassmill.run.shards import folder_of
from glassmill.run.stores.stored import Place, place_of

VERSION = 1
NOTE = "layer.json"
PAGES = "pages.parquet"
"""In a part."""
ROWS_AT_ONCE = 512

TEXT = pa.binary()  # a lone surrogate, which UTF-8 cannot hold, must come back as it was
SCHEMA = pa.schema([
    ("item", pa.int64()),
    ("state", pa.string()),
    ("input", pa.string()),
    ("page_url", TEXT),
    ("url", TEXT),
    ("text", TEXT),
    ("source", TEXT),
    ("offset", pa.int64()),
    ("date", TEXT),
    ("section", TEXT),
    ("step", pa.string()),
    ("rule", pa.string()),
    ("value", pa.float64()),
    ("bound", pa.float64()),
    ("detail", TEXT),
])  # fmt: skip
TEXTS = tuple(field.name for field in SCHEMA if field.type == TEXT)
DOCUMENT, UNREAD, FAILED, LOST = "document", "unread", "failed", "lost"
"""States of a row: extracted, or dropped by what the server said; dropped by its URL, so not extracted; failed at
extraction, with the cause as detail; a record that could not be read."""


@dataclass(slots=True)
class Extracted:
    """A page as far as extraction: its documents (several, if it was cut), or why extraction failed.

    `unread`: its URL was dropped, so it was not extracted.
    """

    url: str
    offset: int
    documents: list[Document]
    failed: str = ""
    unread: bool = False


Item = Extracted | Lost


def layer_key(
    shard: Sequence[Source], digests: Mapping[Place, str | None], decides: Mapping[str, object]
) -> str | None:
    """The name of a shard's layer, `3f/9a1c...`; None if one of its files cannot be read.

    Args:
        shard: Its inputs.
        digests: SHA-256 of each file, or its tag in a store.
        decides: Everything else that decides the texts.
    """
    inputs = [
        [one.name, one.refused or digests.get(place_of(one.path)), one.refused, one.begin, one.end, one.known]
        for one in shard
    ]
    if any(content is None for _, content, *_ in inputs):
        return None
    text = json.dumps([VERSION, inputs, decides], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:40]
    return f"{digest[:2]}/{digest[2:]}"


# --- texts ------------------------------------------------------------------------------------------------------------


class Pages:
    """Rows of a layer while a part of a shard is judged."""

    def __init__(self) -> None:
        self._rows: list[tuple[object, ...]] = []

    def add(self, item: int, source: str, read: Item) -> None:
        """A record, by its position in the shard."""
        if isinstance(read, Lost):
            self._rows.append(_without_text(item, LOST, source, read.url, read.offset, read.cause))
        elif read.failed:
            self._rows.append(_without_text(item, FAILED, source, read.url, read.offset, read.failed))
        else:
            state = UNREAD if read.unread else DOCUMENT
            self._rows += (
                (item, state, source, read.url, one.url, one.text, one.source, one.offset, one.date, one.section,
                 one.step, one.rule, one.value, one.bound, one.detail)
                for one in read.documents
            )  # fmt: skip

    def write(self, path: Path) -> None:
        columns = {name: [row[place] for row in self._rows] for place, name in enumerate(SCHEMA.names)}
        for name in TEXTS:
            columns[name] = [str(value).encode("utf-8", "surrogatepass") for value in columns[name]]
        pq.write_table(pa.table(columns, schema=SCHEMA), path, compression="zstd", compression_level=1)


def _without_text(item: int, state: str, source: str, url: str, offset: int, cause: str) -> tuple[object, ...]:
    return item, state, source, url, "", "", "", offset, "", "", "", "", 0.0, 0.0, cause


class Layer:
    """The layer of a shard in its folder, if there is one. `found`: where the range that was read began and ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: Found = None, None
        self._files: dict[str, str] = {}

    def open(self) -> bool:
        """Whether it is there.

        Raises:
            ValueError: It is damaged.
        """
        try:
            note = json.loads((self.folder / NOTE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ValueError(f"{NOTE} cannot be read ({error.strerror})") from None
        try:
            self._files, self.found = dict(note["files"]), tuple(note["found"])
            content = _digest_of(self._files, self.found)
        except (TypeError, KeyError) as error:
            raise ValueError(f"{NOTE} is damaged") from error
        if note.get("sha256") != content:
            raise ValueError(f"{NOTE} is damaged")
        for name, digest in self._files.items():
            path = self.folder / name
            if not path.is_file() or sha256_file(path) != digest:
                raise ValueError(f"{name} has other bytes than were written")
        return True

    def fits(self, dropped: Callable[[str], object | None], pieces: bool) -> bool:
        """Whether the pages are extracted that URL lists let pass, so that none has to be read again.

        Args:
            dropped: Why a URL is dropped; None if it is not.
            pieces: Long documents were cut, so that what a page was before is not known any more.
        """
        for name in self._files:
            with pq.ParquetFile(self.folder / name) as file:  # `read_table` imports half a second of pyarrow
                rows = file.read(columns=["state", "page_url", "step"]).to_pylist()
            for row in rows:
                state, url = row["state"], row["page_url"].decode("utf-8", "surrogatepass")
                if state == UNREAD and not dropped(url):
                    return False
                if (state == FAILED or (state == DOCUMENT and pieces and row["step"] != "read")) and dropped(url):
                    return False
        return True

    def items(self) -> Iterator[tuple[str, Item]]:
        """The records in order, each with the name of its source."""
        rows: list[dict[str, Any]] = []
        for name in self._files:
            with pq.ParquetFile(self.folder / name) as file:
                for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                    for row in batch.to_pylist():
                        if rows and row["item"] != rows[0]["item"]:
                            yield _item(rows)
                            rows = []
                        rows.append(row)
        if rows:
            yield _item(rows)

    def drop(self) -> None:
        """The texts are no layer any more; results of steps stay."""
        (self.folder / NOTE).unlink(missing_ok=True)

    def write(self, files: Iterable[Path], found: Found) -> None:
        """Makes the layer of files that `Pages` wrote. Not forced to disk: what a power cut damages is made again."""
        digests = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(files):
            name = f"{folder_of(number)}pages-{number:04d}.parquet"
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            remove(place)
            try:
                os.link(file, place)
            except OSError:  # another file system, or one without links
                shutil.copyfile(file, place)
            digests[name] = sha256_file(place)
        note = {"files": digests, "found": found, "sha256": _digest_of(digests, found)}
        write(self.folder / NOTE, json.dumps(note).encode())


def _digest_of(files: Mapping[str, str], found: Found) -> str:
    return hashlib.sha256(json.dumps([files, list(found)], sort_keys=True).encode()).hexdigest()


def _item(rows: list[dict[str, Any]]) -> tuple[str, Item]:
    for row in rows:
        row.update({name: row[name].decode("utf-8", "surrogatepass") for name in TEXTS})
    first = rows[0]
    if first["state"] == LOST:
        return first["input"], Lost(first["offset"], first["detail"], first["page_url"])
    item = Extracted(first["page_url"], first["offset"], [], unread=first["state"] == UNREAD)
    if first["state"] == FAILED:
        item.failed = first["detail"]
        return first["input"], item
    for row in rows:
        item.documents.append(
            Document(
                document_id(row["source"], row["offset"], row["url"]),
                row["url"],
                row["text"],
                row["source"],
                row["offset"],
                row["date"],
                step=row["step"],
                rule=row["rule"],
                value=row["value"],
                bound=row["bound"],
                detail=row["detail"],
                section=row["section"],
                extracted=len(row["text"]),
            )
        )
    return first["input"], item
