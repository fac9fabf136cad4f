"""The verb `tokens`: clean documents and a vocabulary -> flat id shards for training, and held-out ones for measuring.

Each Parquet shard of the corpus becomes one shard of each split, encoded on its own (by any worker, in any order,
again after a kill), so the bytes depend on the corpus and the vocabulary alone. Which documents are held out is
decided by a hash of their id: adding documents moves none between the splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from glassmill.errors import UserError
from glassmill.recipe import TokensSettings
from glassmill.run import kinds
from glassmill.run.files import atomic_json, atomic_path
from glassmill.run.folder import RunFolder
from glassmill.run.worker import Link
from glassmill.tokens.documents import document_shards, read_column
from glassmill.tokens.formats import read_json, write_files
from glassmill.tokens.tokenizer import Tokenizer

VERSION = 1
SPLITS = ("train", "validation")
HASHES = 2**64


def make(run: RunFolder, settings: TokensSettings, seed: int, documents: Path, tokenizer: Path) -> None:
    """Encodes what is not encoded yet, and publishes the run with its index.

    Raises:
        UserError: the corpus has no documents.
    """
    vocabulary = Tokenizer.load(tokenizer)
    dtype = "uint16" if vocabulary.vocab_size <= 2**16 else "uint32"
    shards = document_shards(documents)
    bound = held_out_bound([number for shard in shards for number in _hashes(shard)], settings.validation_share)
    tasks = [
        {
            "number": number,
            "shard": str(shard),
            "tokenizer": str(tokenizer),
            "dtype": dtype,
            "bound": bound,
            "tail_share": settings.validation_share if bound is None else None,
            "out": str(run.path),
        }
        for number, shard in enumerate(shards)
    ]
    done = 0

    def progress(index: int, result: dict[str, Any]) -> None:
        nonlocal done
        done += 1
        run.emit(kinds.Progress(done, len(tasks), "shards", "encoding documents"))

    (run.path / "shards").mkdir(exist_ok=True)
    parts = run.map(
        "glassmill.tokens.tokens:encode_shard",
        tasks,
        settings.workers,
        on_event=run.emit,
        on_result=progress,
    )
    index: dict[str, Any] = {"dtype": dtype, "vocab_size": vocabulary.vocab_size, "eos_id": vocabulary.eos_id}
    index |= {split: _total(parts, split) for split in SPLITS}
    write_files(run.path, {"token_bytes.npy": vocabulary.text_lengths()})
    run.write_json("index.json", index)
    stats = {f"{split}_{name}": index[split][name] for split in SPLITS for name in ("tokens", "documents", "bytes")}
    per_token = index["train"]["bytes"] / max(1, index["train"]["tokens"] - index["train"]["documents"])
    run.finish({**stats, "vocab_size": vocabulary.vocab_size, "bytes_per_token": round(per_token, 4)})


def held_out_bound(hashes: list[int], share: float) -> int | None:
    """Documents with a hash below this are held out: about `share` of them, at least one, and never all.

    None if there is a single document: then its last part is held out.

    Raises:
        UserError: there is no document.
    """
    if not hashes:
        raise UserError("the corpus kept no documents; its funnel (stats.json) says which rule dropped them")
    if len(set(hashes)) == 1:
        return None
    return min(max(int(share * HASHES), min(hashes) + 1), max(hashes))


def document_hash(document_id: str) -> int:
    """A 64-bit number that depends on nothing but the document's id."""
    return int.from_bytes(hashlib.blake2b(document_id.encode(), digest_size=8).digest(), "little")


def encode_shard(task: dict[str, Any], link: Link) -> dict[str, Any]:
    """Encodes one Parquet shard into one shard of each split; its part file, written last, says that it is done."""
    out, name = Path(task["out"]), f"{task['number']:05d}"
    part_path = out / "work" / f"part-{name}.json"
    if part_path.is_file():
        part: dict[str, Any] = read_json(part_path)
        if all((out / part[split][file]).is_file() for split in SPLITS for file in ("file", "documents_file")):
            return part
    poison = {int(position): str(cause) for position, cause in task.get("poison", [])}
    tokenizer = Tokenizer.load(task["tokenizer"])
    with ExitStack() as stack:
        writers = {split: _Writer(stack, out, f"shards/{split}-{name}", task, tokenizer.eos_id) for split in SPLITS}
        for row, split, text in _assigned(task):
            if row in poison:
                link.tell(kinds.Warned(f"{Path(task['shard']).name}, row {row}: left out, encoding it {poison[row]}"))
                continue
            link.mark(row)
            writers[split].add(row, text, tokenizer.encode(text))
    part = {split: writer.entry() for split, writer in writers.items()}
    for split, writer in writers.items():
        write_files(out, {part[split]["documents_file"]: np.array(writer.documents, dtype=np.uint64).reshape(-1, 2)})
    atomic_json(part_path, part)
    return part


class _Writer:
    """One growing shard: ids to a temporary file that gets its name when the stack closes."""

    def __init__(self, stack: ExitStack, out: Path, stem: str, task: dict[str, Any], eos_id: int) -> None:
        self._file: BinaryIO = stack.enter_context(stack.enter_context(atomic_path(out / f"{stem}.bin")).open("wb"))
        self._dtype = np.dtype(task["dtype"]).newbyteorder("<")
        self._end = np.array([eos_id], dtype=self._dtype).tobytes()
        self._stem, self._corpus = stem, Path(task["shard"]).name
        self.documents: list[tuple[int, int]] = []  # first id, row in the corpus shard
        self._tokens = self._bytes = 0

    def add(self, row: int, text: str, ids: np.ndarray) -> None:
        self.documents.append((self._tokens, row))
        self._file.write(ids.astype(self._dtype).tobytes() + self._end)
        self._tokens += len(ids) + 1
        self._bytes += len(text.encode())

    def entry(self) -> dict[str, Any]:
        """What the index says of this shard."""
        return {
            "file": f"{self._stem}.bin",
            "documents_file": f"{self._stem}.documents.npy",
            "corpus": self._corpus,
            "tokens": self._tokens,
            "documents": len(self.documents),
            "bytes": self._bytes,
        }


def _assigned(task: dict[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Row, split and text of every document of a shard."""
    shard = Path(task["shard"])
    for row, (number, text) in enumerate(zip(_hashes(shard), read_column(shard, "text"), strict=True)):
        if task["bound"] is None:
            cut = tail_start(text, task["tail_share"])
            yield row, "train", text[:cut]
            yield row, "validation", text[cut:]
        else:
            yield row, "validation" if number < task["bound"] else "train", text


def tail_start(text: str, share: float) -> int:
    """Where the held-out tail of a single document begins: `share` before its end, or at a line's start near that."""
    wanted = int(len(text) * (1 - share))
    line_start = text.rfind("\n", max(0, wanted - 1000), wanted) + 1
    return line_start or wanted


def _hashes(shard: Path) -> Iterator[int]:
    return map(document_hash, read_column(shard, "id"))


def _total(parts: list[dict[str, Any]], split: str) -> dict[str, Any]:
    entries = [part[split] for part in parts]
    totals = {name: sum(entry[name] for entry in entries) for name in ("tokens", "documents", "bytes")}
    return {**totals, "shards": entries}
