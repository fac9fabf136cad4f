"""The user's own files: which ones a recipe names, what they are called, and a digest of all that counts of them.

In: paths, folders, globs, run folders, and addresses of stores. Out: files in a fixed order. A run depends on the
names, the order and the bytes of its inputs, not on where they are: a folder that moves gives the same digest. Of a
file in a store its size and tag there stand for its bytes, which so need not be read twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn, TypedDict, cast

from glassmill.errors import UserError
from glassmill.printable import shown, valid
from glassmill.run.files import atomic_path, sha256_file
from glassmill.run.finished import INPUTS, is_done
from glassmill.run.hashes import Told, hash_files
from glassmill.run.integrity import check_run_files
from glassmill.run.names import user_path
from glassmill.run.shards import find_shards, names_in
from glassmill.run.stores.address import is_address, masked
from glassmill.run.stores.stored import InputPath, Place, StoredFile, path_of, size_of, stored_files


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that the user names: where it is, its name in what is made of it, and why it must not be read, if so."""

    place: Place
    name: str
    refused: str = ""

    @property
    def path(self) -> InputPath:
        """Made when it is asked for: of a hundred thousand files, their paths take longer than their names."""
        return path_of(self.place)

    @property
    def size(self) -> int:
        """Bytes; 0 of a file that must not be read."""
        return 0 if self.refused else size_of(self.path)


def input_files(words: Sequence[str], folders: int = 0) -> list[InputFile]:
    """The files of all words, in order, each once.

    A name is the file's own, with as many of its folders as all names need to differ, and at least `folders`; bytes
    that are not UTF-8 appear in it as `\\xff`.

    Raises:
        UserError: a word names no file.
    """
    found: dict[Place, str] = {}
    for word in words:
        for place, refused in _found(word).items():
            found.setdefault(place, refused)
    names = _names(list(found), folders + 1)
    return [InputFile(place, name, refused) for (place, refused), name in zip(found.items(), names, strict=True)]


def digest_files(files: Iterable[InputFile], told: Told | None = None) -> str:
    """SHA-256 over name and content of each file, in order; of a file that must not be read, over the reason.

    `told` hears how far it is, see `glassmill.run.hashes.hash_files`.
    """
    files = list(files)
    return digest_of((file.name, content) for file, content in zip(files, _contents(files, told), strict=True))


def digest_of(contents: Iterable[tuple[str, str]]) -> str:
    """The same, from the name of each file and its SHA-256, or the reason why it must not be read."""
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(f"{name}\0{content}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def _contents(files: Sequence[InputFile], told: Told | None = None) -> list[str]:
    known = known_contents([file.place for file in files if not file.refused], told)
    # Hashing again raises, if one cannot be read.
    return [file.refused or known[file.place] or sha256_file(Path(str(file.place))) for file in files]


def known_contents(places: Iterable[Place], told: Told | None = None) -> dict[Place, str | None]:
    """What stands for the bytes of each file: its SHA-256, or its tag in a store; None if it cannot be read."""
    given = list(places)
    here = [place for place in given if isinstance(place, str)]
    digests: dict[Place, str | None] = dict(zip(here, hash_files(here, told=told), strict=True))
    return digests | {place: place.content for place in given if isinstance(place, StoredFile)}


# --- which files a run read, for those who ask later ------------------------------------------------------------------


class InputRow(TypedDict):
    """A line of `inputs.jsonl`: a file of a setting, as it was when the run read it.

    Attributes:
        name: What it is called in what was made of it.
        path: Where it was.
        content: Its SHA-256, of a file in a store its tag there; or the reason why it was not read.
        modified: Seconds since 1970; 0 of a file in a store.
    """

    setting: str
    name: str
    path: str
    content: str
    bytes: int
    modified: int


def record_inputs(run: Path, named: Mapping[str, Iterable[InputFile]]) -> None:
    """Write `inputs.jsonl`: setting -> its files. It is no artefact, for it names places, and needs no checksum: the
    manifest has `digest_of` its names and contents."""
    with atomic_path(run / INPUTS) as temporary, temporary.open("w", encoding="utf-8") as out:
        for setting, given in named.items():
            files = list(given)
            for file, content in zip(files, _contents(files), strict=True):
                status = file.path.stat() if isinstance(file.path, Path) and not file.refused else None
                row: InputRow = {
                    "setting": setting,
                    "name": file.name,
                    "path": valid(str(file.path.absolute() if isinstance(file.path, Path) else file.path)),
                    "content": content,
                    "bytes": file.size,
                    "modified": int(status.st_mtime) if status else 0,
                }
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


def recorded_inputs(run: Path) -> Iterator[InputRow]:
    """What `record_inputs` wrote; nothing for a run of an older version.

    Raises:
        UserError: it is damaged.
    """
    if not (run / INPUTS).is_file():
        return
    with (run / INPUTS).open(encoding="utf-8") as lines:
        try:
            for line in lines:
                row = json.loads(line)
                if not isinstance(row, dict) or not row.keys() >= InputRow.__required_keys__:
                    raise ValueError
                yield cast("InputRow", row)
        except ValueError:  # also of bytes that are no UTF-8
            raise UserError(f"{run / INPUTS} is damaged; delete it, and the files are compared as a whole") from None


def _names(places: list[Place], depth: int) -> list[str]:
    most = max((len(_parts(place)) for place in places), default=0)
    while True:
        names = [valid("/".join(_parts(place)[-depth:])) for place in places]
        if len(set(names)) == len(names) or depth >= most:
            return names
        depth += 1


def _parts(place: Place) -> Sequence[str]:
    """As `Path.parts` gives them, in a tenth of the time."""
    if isinstance(place, StoredFile):
        return place.parts
    first, *others = place.split(os.sep)  # noqa: PTH206
    return [first or os.sep, *others]


def expand(words: Sequence[str]) -> list[Path]:
    """The readable files that paths, folders and globs name: those of a word sorted, each file once.

    A finished run stands for its documents, in their order. Hidden files and folders (`.git`) in a folder are left out.

    Raises:
        UserError: a word names no file, or one in a store, which only the corpus reads.
    """
    for word in filter(is_address, words):
        _refuse(word)
    return [Path(str(path)) for path in readable_files(words)]


def readable_files(words: Sequence[str]) -> list[InputPath]:
    """As `expand`, with the files that addresses of stores name."""
    found = dict.fromkeys(place for word in words for place, refused in _found(word).items() if not refused)
    return [path_of(place) for place in found]


def check_named(words: Sequence[str], stores: bool) -> None:
    """Looks as far as the first file of each word.

    Args:
        stores: Addresses of stores are among what may be named.

    Raises:
        UserError: a word names no file.
    """
    for word in words:
        if not is_address(word):
            _listed(word, most=1)
        elif stores:
            stored_files(word)
        else:
            _refuse(word)


def _refuse(address: str) -> NoReturn:
    advice = "copy it here (`glassmill pull` does that with a run)"
    raise UserError(f"input {shown(masked(address))!r}: only corpus.inputs reads from stores; {advice}")


def _found(word: str) -> Mapping[Place, str]:
    """The files of one word in their order, and why each must not be read; empty where it may."""
    return stored_files(word) if is_address(word) else _listed(word)


def _listed(word: str, most: int | None = None) -> dict[Place, str]:
    """The files of one word, which is no address: of a run in the order of its shards, else sorted; of a folder and a
    glob at most so many."""
    if not word.strip():
        raise UserError("an input is empty; give a file, a folder, or a glob in quotes (. is this folder)")
    try:
        path = user_path(word)
        if is_done(path):
            shards = find_shards(path, "documents")
            check_run_files(path, names_in(path, shards))
            return {str(shard): "" for shard in shards}
        if path.is_dir():
            found = dict(islice(_inside(str(path)), most))
        elif path.exists():
            found = {str(path): _why_special(path)}
            if found[str(path)]:
                refused = found[str(path)]
                raise UserError(f"input {shown(word)!r} is {refused}; give a file, a folder, or a glob in quotes")
        else:
            found = dict(islice(_of_glob(path, word), most))
    except (OSError, ValueError) as error:  # too long, an impossible glob
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"input {shown(word)!r} cannot be opened: {reason}") from None
    if not found:
        raise UserError(f"input {shown(word)!r} names no file; give a file, a folder with files, or a glob in quotes")
    return {place: found[place] for place in sorted(found, key=_folder_by_folder)}


def _folder_by_folder(place: str) -> str:
    """Orders places as paths are: a folder's files before those of a folder that is named like it, and more."""
    return os.path.normcase(place).replace(os.sep, "\0")


def _inside(root: str) -> Iterator[tuple[str, str]]:
    """Everything in a folder that is not hidden; a link to a folder, a pipe and a closed folder with their reasons."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as listed:
                entries = [entry for entry in listed if not entry.name.startswith(".")]
        except OSError as error:
            yield folder, f"a folder that cannot be opened: {error.strerror}"
            continue
        for entry in entries:
            place = entry.name if folder == os.curdir else entry.path
            if entry.is_dir(follow_symlinks=False):
                folders.append(place)
            elif entry.is_symlink():
                yield place, _why_refused(Path(place), Path(root))
            else:  # no link on the way: none was followed
                readable = entry.is_file(follow_symlinks=False) and os.access(place, os.R_OK)
                yield place, "" if readable else _why_refused(Path(place), None)


def _of_glob(path: Path, word: str) -> Iterator[tuple[str, str]]:
    if not any(character in word for character in "*?["):
        return
    anchor = Path(path.anchor) if path.is_absolute() else Path()
    matches = anchor.glob(str(path.relative_to(path.anchor)) if path.is_absolute() else word)
    root = Path(word.partition("*")[0].partition("?")[0].partition("[")[0]).expanduser()
    root = root if root.is_dir() else root.parent
    yield from ((str(match), _why_refused(match, root)) for match in matches if not match.is_dir())


def _why_refused(path: Path, root: Path | None) -> str:
    """Why `path`, found under `root` and perhaps through a link, must not be read; None: certainly without one."""
    try:
        if root is not None and not path.resolve().is_relative_to(root.resolve()):
            return "refused: a link that points outside the folder"
    except (OSError, RuntimeError):  # a link to itself
        return "refused: a link that leads nowhere"
    special = _why_special(path)
    return f"refused: {special}" if special else ""


def _why_special(path: Path) -> str:
    """What `path` is if no file that can be read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a link that leads nowhere"
    except OSError as error:
        return f"a file that cannot be opened: {error.strerror}"
    if stat.S_ISREG(mode):
        return "" if os.access(path, os.R_OK) else "a file that cannot be opened: Permission denied"
    kinds = {stat.S_ISDIR: "a link to a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((text for is_kind, text in kinds.items() if is_kind(mode)), "a device")
