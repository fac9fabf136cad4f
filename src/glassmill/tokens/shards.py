"""Id shards: flat little-endian arrays on disk, memory-mapped, so that training works on a corpus larger than memory.
Few of them are open at a time, however many there are.

    Shards("runs/tokens/demo-3f9a1c", "train").random_windows(generator, count=32, length=513)   # (32, 513) int64

Documents are concatenated, each ended by `<|endoftext|>`; a window may start anywhere and span several. `index.json`
has the numbers of ids, documents and bytes of text, `*.documents.npy` the first id of each document and its row in
the corpus. The files of a finished run are checked against its manifest before they are mapped, and what the index
claims against the files.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, TypedDict, cast

import numpy as np

from glassmill.errors import UserError
from glassmill.foreign_json import field, load_object
from glassmill.run.integrity import check_run_files

DTYPES = ("uint16", "uint32")
COUNTS = ("tokens", "documents", "bytes")
MOST_OPEN = 256
"""Shards mapped at once; each map holds a file handle, and many systems allow a process 1,024."""
Split = Literal["train", "validation"]


class ShardEntry(TypedDict):
    """One id shard in the index: its files, the corpus shard it came from, and its totals."""

    file: str
    documents_file: str
    corpus: str
    tokens: int
    documents: int
    bytes: int


class SplitEntry(TypedDict):
    """One split in the index."""

    tokens: int
    documents: int
    bytes: int
    shards: list[ShardEntry]


class Index(TypedDict):
    """The content of `index.json`."""

    dtype: str
    vocab_size: int
    eos_id: int
    train: SplitEntry
    validation: SplitEntry


class DocumentPlace(NamedTuple):
    """Where a document is: shard, first id, number of ids, and its file and row in the corpus run."""

    file: str
    first: int
    tokens: int
    corpus: str
    row: int


class Shards:
    """The ids of one split of a tokens run.

    Args:
        folder: The run folder.
        split: `"train"` or `"validation"`.

    Attributes:
        entries: The shards that have ids, in order.

    Raises:
        UserError: not a tokens run, a file is missing or has other bytes than were written, or the index makes no
            sense.
    """

    def __init__(self, folder: str | Path, split: Split = "train") -> None:
        folder = Path(folder)
        if not (folder / "index.json").is_file():
            raise UserError(f"{folder} is not a tokens run: it has no index.json")
        index = read_index(folder / "index.json")
        named = [entry[name] for entry in index[split]["shards"] for name in ("file", "documents_file")]
        check_run_files(folder, ["index.json", *named])
        self.split = split
        self.vocab_size = int(index["vocab_size"])
        self.eos_id = int(index["eos_id"])
        self.dtype = np.dtype(index["dtype"]).newbyteorder("<")
        self.num_bytes = int(index[split]["bytes"])
        self.num_documents = int(index[split]["documents"])
        self.entries = [entry for entry in index[split]["shards"] if entry["tokens"]]
        self._folder = folder
        for entry in self.entries:
            self._check(entry)
        self._lengths = np.array([entry["tokens"] for entry in self.entries], dtype=np.int64)
        self._mapped = lru_cache(MOST_OPEN)(self._map)
        self._ends = lru_cache(8)(self._places)

    def __len__(self) -> int:
        """The number of ids in the split."""
        return int(self._lengths.sum())

    @property
    def ids(self) -> np.ndarray:
        """All ids in one array; copied into memory if there is more than one shard."""
        if len(self.entries) == 1:
            return self._mapped(0)
        found = np.empty(len(self), dtype=self.dtype)
        first = 0
        for number, length in enumerate(self._lengths.tolist()):
            found[first : first + length] = np.fromfile(self._path(number), dtype=self.dtype)
            first += length
        return found

    def num_windows(self, length: int) -> int:
        """The number of places where a window of `length` ids can start."""
        return int(self._ends(length)[-1]) if self.entries else 0

    def random_windows(self, generator: np.random.Generator, count: int, length: int) -> np.ndarray:
        """`count` windows, every start equally likely, `(count, length)` int64. To predict T ids, ask for T + 1.

        Raises:
            UserError: no shard has `length` ids.
        """
        places = self.num_windows(length)
        if places == 0:
            raise UserError(
                f"the {self.split} split has {len(self)} ids, too few for a window of {length}; "
                "read more text or lower model.context_length"
            )
        return np.stack([self.window(int(place), length) for place in generator.integers(places, size=count)])

    def window(self, place: int, length: int) -> np.ndarray:
        """The window at one of the `num_windows(length)` places, int64. Windows do not span shards."""
        number, first = self.start(place, length)
        return np.asarray(self._mapped(number)[first : first + length], dtype=np.int64)

    def start(self, place: int, length: int) -> tuple[int, int]:
        """Which of `entries` the window at that place is in, and its first id there."""
        if not 0 <= place < self.num_windows(length):
            raise IndexError(f"no window of {length} ids starts at place {place:,}")
        ends = self._ends(length)
        number = int(np.searchsorted(ends, place, side="right"))
        return number, place - (int(ends[number - 1]) if number else 0)

    def shard(self, number: int) -> np.ndarray:
        """The ids of one of `entries`, memory-mapped."""
        return self._mapped(number)

    def documents_of(self, number: int) -> np.ndarray:
        """First id and row in the corpus shard of every document in one of `entries`, `(documents, 2)`.

        Raises:
            UserError: the file is missing or damaged.
        """
        entry = self.entries[number]
        return _read_places(self._folder / entry["documents_file"], entry["documents"], entry["tokens"])

    def documents(self) -> list[DocumentPlace]:
        """The place of every document, in order."""
        found: list[DocumentPlace] = []
        for number, entry in enumerate(self.entries):
            table = self.documents_of(number)
            ends = [*table[1:, 0].tolist(), entry["tokens"]]
            for (first, row), end in zip(table.tolist(), ends, strict=True):
                found.append(DocumentPlace(entry["file"], first, end - first, entry["corpus"], row))
        return found

    def _places(self, length: int) -> np.ndarray:
        """Windows of `length` ids in each shard and all before it."""
        return np.cumsum(np.maximum(0, self._lengths - length + 1))

    def _path(self, number: int) -> Path:
        return self._folder / self.entries[number]["file"]

    def _map(self, number: int) -> np.ndarray:
        return np.memmap(self._path(number), dtype=self.dtype, mode="r")

    def _check(self, entry: ShardEntry) -> None:
        path = self._folder / entry["file"]
        expected = int(entry["tokens"]) * self.dtype.itemsize
        size = path.stat().st_size if path.is_file() else None
        if size != expected:
            state = "is missing" if size is None else f"has {size} bytes instead of {expected}"
            raise UserError(f"{path} {state}; run the tokens stage again")


def read_index(path: Path) -> Index:
    """`index.json`, every field checked.

    Raises:
        UserError: it is damaged.
    """
    what, index = str(path), load_object(path)
    if field(index, "dtype", str, what=what) not in DTYPES:
        raise UserError(f"{what}: dtype = {index['dtype']!r}; ids are stored as {' or '.join(DTYPES)}")
    vocab_size = field(index, "vocab_size", int, what=what, low=1)
    field(index, "eos_id", int, what=what, low=0, high=vocab_size - 1)
    for split in ("train", "validation"):
        totals = field(index, split, dict, what=what)
        for name in COUNTS:
            field(totals, name, int, what=f"{what}, {split}", low=0)
        for entry in field(totals, "shards", list, what=f"{what}, {split}"):
            if not isinstance(entry, dict):
                raise UserError(f"{what}, {split}: a shard is not an object")
            for name in COUNTS:
                field(entry, name, int, what=f"{what}, {split}", low=0)
            for name in ("file", "documents_file", "corpus"):
                place = PurePosixPath(field(entry, name, str, what=f"{what}, {split}"))
                if place.is_absolute() or ".." in place.parts or "\0" in str(place):
                    raise UserError(f"{what}, {split}: {name} = {str(place)[:80]!r} is not in the run's folder")
        for name in COUNTS:
            if sum(entry[name] for entry in totals["shards"]) != totals[name]:
                raise UserError(f"{what}, {split}: {name} is not the sum of its shards'")
    return cast("Index", index)


def _read_places(path: Path, documents: int, ids: int) -> np.ndarray:
    """First id and row of every document, `(documents, 2)`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(table, np.ndarray) or table.shape != (documents, 2) or table.dtype.kind not in "iu":
        raise UserError(f"{path} is damaged: it is not a table of {documents} documents")
    firsts = table[:, 0].astype(np.int64)
    if documents and (firsts[0] != 0 or firsts[-1] > ids or (np.diff(firsts) < 0).any()):
        raise UserError(f"{path} is damaged: its documents are not in the order of their ids")
    return table
