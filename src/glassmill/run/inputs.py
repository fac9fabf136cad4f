"""Which files do these words name? Paths, folders, globs and run folders to a list of files, in a fixed order."""

from __future__ import annotations

from pathlib import Path

from glassmill.errors import UserError
from glassmill.run.folder import is_done


def expand(words: tuple[str, ...]) -> list[Path]:
    """The files that paths, folders and globs name, sorted, each once. A run folder stands for its documents; what is
    hidden in a folder (`.git`) is left out.

    Raises:
        UserError: a word that names nothing.
    """
    found: dict[Path, None] = {}
    for word in words:
        path = Path(word).expanduser()
        if is_done(path):
            matches = sorted((path / "shards").glob("documents-*.parquet"))
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
