"""Id shards: flat little-endian arrays on disk, read by memory map, so that a corpus larger than memory trains.

    Shards("runs/tokens/demo-3f9a1c", "train").random_windows(generator, count=32, length=513)   # (32, 513) int64

Documents follow one another, each ended by `<|endoftext|>`; a window may begin anywhere and span several.
`index.json` says how many ids, documents and bytes of text there are, `*.documents.npy` where each document begins
and which row of the corpus it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from glassmill.errors import UserError
from glassmill.tokens.formats import read_json

Split = Literal["train", "validation"]


class Shards:
    """The ids of one split of a tokens run.

    Args:
        folder: The run folder.
        split: `"train"` or `"validation"`.

    Raises:
        UserError: no tokens run, or a shard is missing or has another length than the index says.
    """

    def __init__(self, folder: str | Path, split: Split = "train") -> None:
        folder = Path(folder)
        if not (folder / "index.json").is_file():
            raise UserError(f"{folder} is no tokens run: it has no index.json")
        index: dict[str, Any] = read_json(folder / "index.json")
        self.split = split
        self.vocab_size = int(index["vocab_size"])
        self.eos_id = int(index["eos_id"])
        self.dtype = np.dtype(index["dtype"]).newbyteorder("<")
        self.num_bytes = int(index[split]["bytes"])
        self.num_documents = int(index[split]["documents"])
        self._entries = [entry for entry in index[split]["shards"] if entry["tokens"]]
        self._arrays = [self._map(folder, entry) for entry in self._entries]
        self._folder = folder

    def __len__(self) -> int:
        """All ids of the split."""
        return sum(len(array) for array in self._arrays)

    @property
    def ids(self) -> np.ndarray:
        """All ids, one after the other; a copy in memory if there is more than one shard."""
        if len(self._arrays) == 1:
            return self._arrays[0]
        return np.concatenate(self._arrays) if self._arrays else np.zeros(0, dtype=self.dtype)

    def num_windows(self, length: int) -> int:
        """The places where a window of `length` ids can begin."""
        return sum(max(0, len(array) - length + 1) for array in self._arrays)

    def random_windows(self, generator: np.random.Generator, count: int, length: int) -> np.ndarray:
        """`count` windows, every beginning equally likely, `(count, length)` int64. To predict T ids, ask for T + 1.

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
        for array in self._arrays:
            room = max(0, len(array) - length + 1)
            if place < room:
                return np.asarray(array[place : place + length], dtype=np.int64)
            place -= room
        raise IndexError("no window begins there")

    def documents(self) -> list[dict[str, Any]]:
        """Where each document lies: shard, first id, number of ids, and its file and row in the corpus run."""
        found: list[dict[str, Any]] = []
        for entry, array in zip(self._entries, self._arrays, strict=True):
            table = np.load(self._folder / entry["documents_file"], allow_pickle=False)
            ends = [*table[1:, 0].tolist(), len(array)]
            for (first, row), end in zip(table.tolist(), ends, strict=True):
                found.append(
                    {
                        "file": entry["file"],
                        "first": first,
                        "tokens": end - first,
                        "corpus": entry["corpus"],
                        "row": row,
                    }
                )
        return found

    def _map(self, folder: Path, entry: dict[str, Any]) -> np.ndarray:
        path = folder / entry["file"]
        expected = int(entry["tokens"]) * self.dtype.itemsize
        size = path.stat().st_size if path.is_file() else None
        if size != expected:
            state = "is missing" if size is None else f"has {size} bytes instead of {expected}"
            raise UserError(f"{path} {state}; run the tokens stage again")
        return np.memmap(path, dtype=self.dtype, mode="r")
