"""The index of a corpus: the keys of what it kept, against which a later corpus is deduplicated.

A folder of `keys-*.npy` and `index.json`. Keys are comparable only within one family of hashes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import numpy as np

from glassmill.corpus.dedup.keys import Family
from glassmill.corpus.dedup.rows import Rows
from glassmill.run.files import atomic_json, sha256_file


class IndexFile(TypedDict):
    """What `index.json` says of one file of keys."""

    rows: int
    sha256: str


def write_index(folder: Path, family: Family) -> None:
    """Writes `index.json`: the family of the keys that `finish_shard` wrote, and their files."""
    files: dict[str, IndexFile] = {}
    for path in sorted(folder.rglob("keys-*.npy"), key=lambda path: (len(path.name), path.name)):
        rows = int(np.load(path, mmap_mode="r", allow_pickle=False).shape[0])
        files[path.relative_to(folder).as_posix()] = {"rows": rows, "sha256": sha256_file(path)}
    atomic_json(folder / "index.json", {**family, "files": files})


def read_index(folder: Path, family: Family) -> list[Rows]:
    """The rows of an earlier corpus's index.

    Raises:
        ValueError: there is no index, or its keys are of another family; the message names the setting that differs.
    """
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        files: dict[str, IndexFile] = index["files"]
    except (OSError, ValueError, KeyError):
        raise ValueError("has no index; name a finished corpus run made with dedup.index=true") from None
    for name, value in family.items():
        if index.get(name) != value:
            raise ValueError(
                f"has keys with {name}={index.get(name)}, this corpus has {value}: the two are not comparable"
            )
    return [Rows(folder / name, 0, int(entry["rows"])) for name, entry in files.items()]
