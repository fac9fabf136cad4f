"""The user's own files: which ones a recipe names, what they are called, and a digest of all that counts of them.

In: paths, folders, globs and run folders. Out: files in a fixed order. A run depends on the names, the order and the
bytes of its inputs, not on where they are: a folder that moves gives the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glassmill.errors import UserError
from glassmill.run.files import sha256_file
from glassmill.run.folder import is_done
from glassmill.run.integrity import check_run_files


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that the user names: its path, its name in what is made of it, and why it must not be read, if so."""

    path: Path
    name: str
    refused: str = ""


def input_files(words: Sequence[str], folders: int = 0) -> list[InputFile]:
    """The files of all words, in order, each once.

    A name is the file's own, with as many of its folders as all names need to differ, and at least `folders`.

    Raises:
        UserError: a word names no file.
    """
    found: dict[Path, str] = {}
    for word in words:
        for path in expand((word,)):
            found.setdefault(path, why_refused(path, word))
    names = _names(list(found), folders + 1)
    return [InputFile(path, name, refused) for (path, refused), name in zip(found.items(), names, strict=True)]


def digest_files(files: Iterable[InputFile]) -> str:
    """SHA-256 over name and content of each file, in order; of a file that must not be read, over the reason."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.refused or sha256_file(file.path)}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def why_refused(path: Path, word: str) -> str:
    """Why `path`, found under the folder or glob `word`, must not be read; empty where it may."""
    if path == Path(word).expanduser():
        return ""  # named itself
    root = Path(word.partition("*")[0].partition("?")[0].partition("[")[0]).expanduser()
    root = root if root.is_dir() else root.parent
    return "" if path.resolve().is_relative_to(root.resolve()) else "refused: a link that points outside the folder"


def _names(paths: list[Path], depth: int) -> list[str]:
    while True:
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names) or depth >= max(len(path.parts) for path in paths):
            return names
        depth += 1


def expand(words: Sequence[str]) -> list[Path]:
    """The files that paths, folders and globs name: those of a word sorted, each file once.

    A finished run stands for its documents. Hidden files and folders (`.git`) in a folder are left out.

    Raises:
        UserError: a word names no file.
    """
    found: dict[Path, None] = {}
    for word in words:
        path = Path(word).expanduser()
        if is_done(path):
            matches = sorted((path / "shards").glob("documents-*.parquet"))
            check_run_files(path, [f"shards/{shard.name}" for shard in matches])
        elif path.is_dir():
            matches = sorted(
                file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(path))
            )
        elif path.is_file():
            matches = [path]
        else:
            anchor = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else word
            matches = (
                sorted(file for file in anchor.glob(pattern) if file.is_file()) if any(c in word for c in "*?[") else []
            )
        if not matches:
            raise UserError(f"input {word!r} names no file; give a file, a folder with files, or a glob in quotes")
        found.update(dict.fromkeys(matches))
    return list(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
