"""The verb `tokens`: clean documents and a vocabulary -> flat id shards for training, and a held-out split.

Each Parquet shard of the corpus becomes one shard of each split, encoded independently (by any worker, in any order,
again after a crash), so the bytes depend only on the corpus and the vocabulary. A hash of a document's id decides
whether it is held out, so adding documents never moves one between the splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NotRequired, TypedDict, cast

import numpy as np

from glassmill.errors import UserError
from glassmill.recipe import TokensSettings
from glassmill.run import kinds
from glassmill.run.files import atomic_json, atomic_path
from glassmill.run.folder import RunFolder
from glassmill.run.shards import folder_of, shard_name
from glassmill.run.worker import Link
from glassmill.tokens.documents import HASHES, document_hashes, document_shards, read_column
from glassmill.tokens.formats import read_json, write_files
from glassmill.tokens.shards import Index, ShardEntry, SplitEntry
from glassmill.tokens.split import resolved
from glassmill.tokens.tokenizer import Tokenizer

__all__ = ["VERSION", "held_out_documents", "make", "resolved"]

VERSION = 2
SPLITS = ("train", "validation")


class ShardTask(TypedDict):
    """What a worker needs to encode one shard of the corpus.

    Documents with a hash below `bound` are held out; without a bound, `tail_share` of the only document is.
    """

    number: int
    shard: str
    tokenizer: str
    dtype: str
    bound: int | None
    tail_share: float | None
    out: str
    skip: NotRequired[list[tuple[int, str]]]


Part = dict[str, ShardEntry]
"""Split -> its shard, for one shard of the corpus."""


def make(run: RunFolder, settings: TokensSettings, documents: Path, tokenizer: Path) -> None:
    """Encodes the remaining shards, and publishes the run with its index.

    Raises:
        UserError: the corpus has no documents.
    """
    vocabulary = Tokenizer.load(tokenizer)
    dtype = "uint16" if vocabulary.vocab_size <= 2**16 else "uint32"
    shards = document_shards(documents)
    bound = held_out_bound([number for shard in shards for number in document_hashes(shard)], settings.validation_share)
    tasks: list[ShardTask] = [
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

    def progress(index: int, result: Mapping[str, object]) -> None:
        nonlocal done
        done += 1
        run.emit(kinds.Progress(done, len(tasks), "shards", "encoding documents"))

    results = run.map(
        "glassmill.tokens.tokens:encode_shard",
        tasks,
        settings.workers,
        on_event=run.emit,
        on_result=progress,
    )
    parts = [cast("Part", result) for result in results]
    splits = {split: _total(parts, split) for split in SPLITS}
    index: Index = {
        "dtype": dtype,
        "vocab_size": vocabulary.vocab_size,
        "eos_id": vocabulary.document_end_id,
        "train": splits["train"],
        "validation": splits["validation"],
    }
    write_files(run.path, {"token_bytes.npy": vocabulary.text_lengths()})
    run.write_json("index.json", index)
    stats = {
        f"{split}_{name}": count for split, entry in splits.items() for name, count in entry.items() if name != "shards"
    }
    train = index["train"]
    per_token = train["bytes"] / max(1, train["tokens"] - train["documents"])
    run.finish({**stats, "vocab_size": vocabulary.vocab_size, "bytes_per_token": round(per_token, 4)})


def held_out_bound(hashes: list[int], share: float) -> int | None:
    """Documents with a hash below this bound are held out: about `share` of them, at least one, never all.

    None for a single document, whose last part is held out instead.

    Raises:
        UserError: there are no documents.
    """
    if not hashes:
        raise UserError("the corpus kept no documents; its funnel (stats.json) says which rule dropped them")
    if len(set(hashes)) == 1:
        return None
    return min(max(int(share * HASHES), min(hashes) + 1), max(hashes))


def held_out_documents(corpus: Path, share: float) -> dict[int, str]:
    """Hash -> text of the documents that the tokens stage holds out, whole ones only."""
    shards = document_shards(corpus)
    bound = held_out_bound([number for shard in shards for number in document_hashes(shard)], share)
    found: dict[int, str] = {}
    for shard in shards if bound is not None else []:
        assert bound is not None
        for number, text in zip(document_hashes(shard), read_column(shard, "text"), strict=True):
            if number < bound:
                found[number] = str(text)
    return found


def encode_shard(task: ShardTask, link: Link) -> Part:
    """Encodes one Parquet shard into one shard of each split; the part file, written last, marks it as done."""
    out, number = Path(task["out"]), task["number"]
    part_path = out / "work" / f"{folder_of(number)}part-{number:05d}.json"
    if part_path.is_file():
        done: Part = read_json(part_path)
        if all((out / name).is_file() for split in SPLITS for name in _files_of(done[split])):
            return done
    skip = {int(position): str(cause) for position, cause in task.get("skip", [])}
    tokenizer = Tokenizer.load(task["tokenizer"])
    with ExitStack() as stack:
        end = tokenizer.document_end_id
        writers = {split: _Writer(stack, out, shard_name(split, number, "bin"), task, end) for split in SPLITS}
        for row, split, text in _assigned(task):
            if row in skip:
                link.tell(kinds.Warned(f"{Path(task['shard']).name}, row {row}: skipped: {skip[row]}"))
                continue
            link.mark(row)
            writers[split].add(row, text, tokenizer.encode(text))
    part = {split: writer.entry() for split, writer in writers.items()}
    for split, writer in writers.items():
        write_files(out, {part[split]["documents_file"]: np.array(writer.documents, dtype=np.uint64).reshape(-1, 2)})
    atomic_json(part_path, part)
    return part


class _Writer:
    """One growing shard: writes ids to a temporary file, which is renamed when the stack closes."""

    def __init__(self, stack: ExitStack, out: Path, name: str, task: ShardTask, eos_id: int) -> None:
        self._file: BinaryIO = stack.enter_context(stack.enter_context(atomic_path(out / name)).open("wb"))
        self._dtype = np.dtype(task["dtype"]).newbyteorder("<")
        self._end = np.array([eos_id], dtype=self._dtype).tobytes()
        self._name, self._corpus = name, Path(task["shard"]).name
        self.documents: list[tuple[int, int]] = []  # first id, row in the corpus shard
        self._tokens = self._bytes = 0

    def add(self, row: int, text: str, ids: np.ndarray) -> None:
        self.documents.append((self._tokens, row))
        self._file.write(ids.astype(self._dtype).tobytes() + self._end)
        self._tokens += len(ids) + 1
        self._bytes += len(text.encode())

    def entry(self) -> ShardEntry:
        """This shard in the index."""
        return {
            "file": self._name,
            "documents_file": self._name.removesuffix("bin") + "documents.npy",
            "corpus": self._corpus,
            "tokens": self._tokens,
            "documents": len(self.documents),
            "bytes": self._bytes,
        }


def _files_of(entry: ShardEntry) -> tuple[str, str]:
    return entry["file"], entry["documents_file"]


def _assigned(task: ShardTask) -> Iterator[tuple[int, str, str]]:
    """Row, split and text of every document of a shard."""
    shard, bound, tail_share = Path(task["shard"]), task["bound"], task["tail_share"]
    for row, (number, text) in enumerate(zip(document_hashes(shard), read_column(shard, "text"), strict=True)):
        if bound is None:
            assert tail_share is not None
            cut = tail_start(text, tail_share)
            yield row, "train", text[:cut]
            yield row, "validation", text[cut:]
        else:
            yield row, "validation" if number < bound else "train", text


def tail_start(text: str, share: float) -> int:
    """Where the held-out tail of a single document starts: `share` before its end, or at a line start near it."""
    wanted = int(len(text) * (1 - share))
    line_start = text.rfind("\n", max(0, wanted - 1000), wanted) + 1
    return line_start or wanted


def _total(parts: Sequence[Part], split: str) -> SplitEntry:
    entries = [part[split] for part in parts]
    return {
        "tokens": sum(entry["tokens"] for entry in entries),
        "documents": sum(entry["documents"] for entry in entries),
        "bytes": sum(entry["bytes"] for entry in entries),
        "shards": entries,
    }
