"""Files of evaluation tasks: rows whose answer a model chooses by likelihood.

In: JSONL (or a table, or Parquet) in one of four forms, documented in docs/EVALUATION.md:

    pairs     {sentence_good, sentence_bad}              the sentence that is grammatical (BLiMP, arXiv 1912.00582)
    choice    {query, choices, gold}                     one of several answers
    schema    {context_options, continuation, gold}      one of several beginnings (Winograd)
    language  {context, continuation}                    the text that follows, word for word (LAMBADA)

Out: `Task`s of rows in one shape: beginnings, endings and the place of the right one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from glassmill.errors import UserError
from glassmill.evals.core_tasks import CORE, Setup
from glassmill.printable import printable
from glassmill.run.rows import read_rows
from glassmill.textfiles import read_text

Kind = Literal["pairs", "choice", "schema", "language"]
MAX_CHOICES = 64
MAX_SHOTS = 64
SUFFIXES = (".jsonl", ".json", ".parquet", ".csv", ".tsv")
SETTINGS = "tasks.toml"
FORMS: dict[Kind, tuple[str, ...]] = {
    "pairs": ("sentence_good", "sentence_bad"),
    "choice": ("query", "choices", "gold"),
    "schema": ("context_options", "continuation", "gold"),
    "language": ("context", "continuation"),
}
SAID = "; ".join("{" + ", ".join(keys) + "}" for keys in FORMS.values())


@dataclass(frozen=True, slots=True)
class Item:
    """A row: its options are every beginning with every ending, of which one side has a single text.

    Attributes:
        line: Where it stands in its file, counted from 1.
        beginnings: The questions; one, but for a schema.
        endings: The answers; one, but for pairs and choices.
        gold: The index of the right one.
    """

    line: int
    beginnings: tuple[str, ...]
    endings: tuple[str, ...]
    gold: int = 0

    @property
    def question(self) -> str:
        """What is asked, with nothing that tells the answer apart."""
        return self.beginnings[self.gold if len(self.beginnings) > 1 else 0]

    @property
    def answer(self) -> str:
        """The right ending."""
        return self.endings[self.gold if len(self.endings) > 1 else 0]


@dataclass(frozen=True, slots=True)
class Task:
    """The rows of a file, and how they become prompts; `group` is the name under which the user asked for it."""

    name: str
    group: str
    path: Path
    kind: Kind
    items: tuple[Item, ...]
    setup: Setup


def find_tasks(names: Sequence[str], folder: Path, shots: int | None = None) -> tuple[list[Task], list[str]]:
    """The tasks of these names, and CORE's whose files are not there.

    Args:
        names: `core`, a file, a folder of files, or the name of one in or below `folder`.
        folder: Where the files of tasks are.
        shots: Examples before every question, whatever `tasks.toml` and CORE say.

    Raises:
        UserError: Nothing has that name; a file is damaged, or of no known form.
    """
    tasks: list[Task] = []
    missing: list[str] = []
    for name in names:
        if name == "core":
            files = {label: _below(folder, setup.file) for label, setup in CORE.items()}
            missing += [label for label, found in files.items() if not found]
            wanted = [(label, CORE[label], _one(label, found)) for label, found in files.items() if found]
            if not wanted:
                raise UserError(f"--tasks core: none of its files ({CORE['copa'].file}.jsonl, ...) is below {folder}")
        elif name in CORE and (found := _below(folder, CORE[name].file)):
            wanted = [(name, CORE[name], _one(name, found))]
        else:
            wanted = [(path.stem, CORE.get(path.stem, Setup(path.stem)), path) for path in _files(name, folder)]
        for label, known, path in wanted:
            chosen = _settings(path.parent, label, known)
            chosen = chosen if shots is None else replace(chosen, shots=shots)
            tasks.append(read_task(path, label, "core" if name == "core" else Path(name).stem, chosen))
    return tasks, missing


def read_task(path: Path, name: str, group: str, setup: Setup) -> Task:
    """The rows of one file.

    Raises:
        UserError: It cannot be read, a row is damaged, or its form is none of the four; one line, with file and line.
    """
    kind: Kind | None = None
    items = []
    for line, (place, row) in enumerate(read_rows(path), start=1):
        if not isinstance(row, Mapping):
            raise UserError(f"{place}: {_short(row)} is no object; rows have the keys {SAID}")
        if kind is None:
            kind = _kind(row, place)
        number = int(place.rpartition(" ")[2]) if place.rpartition(" ")[2].isdecimal() else line
        items.append(_READERS[kind](row, place, number))
    if kind is None:
        raise UserError(f"{path} has no rows")
    if setup.shots >= len(items):
        raise UserError(f"{path} has {len(items)} rows, too few for {setup.shots} examples before each of them")
    return Task(name, group, path, kind, tuple(items), setup)


def _kind(row: Mapping[str, Any], place: str) -> Kind:
    for kind, keys in FORMS.items():
        if all(key in row for key in keys):
            return kind
    its_keys = ", ".join(_short(key) for key in list(row)[:8]) or "none"
    raise UserError(f"{place} is of no known form (its keys: {its_keys}); rows have the keys {SAID}")


def _pairs(row: Mapping[str, Any], place: str, line: int) -> Item:
    good, bad = (_text(row, key, place) for key in FORMS["pairs"])
    return Item(line, ("",), (good, bad))


def _choice(row: Mapping[str, Any], place: str, line: int) -> Item:
    choices = _texts(row, "choices", place)
    return Item(line, (_text(row, "query", place, True),), choices, _gold(row, len(choices), place))


def _schema(row: Mapping[str, Any], place: str, line: int) -> Item:
    options = _texts(row, "context_options", place)
    return Item(line, options, (_text(row, "continuation", place),), _gold(row, len(options), place))


def _language(row: Mapping[str, Any], place: str, line: int) -> Item:
    return Item(line, (_text(row, "context", place, True).strip(),), (_text(row, "continuation", place),))


_READERS: dict[Kind, Callable[[Mapping[str, Any], str, int], Item]] = {
    "pairs": _pairs,
    "choice": _choice,
    "schema": _schema,
    "language": _language,
}


def _text(row: Mapping[str, Any], key: str, place: str, may_be_empty: bool = False) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        raise UserError(f'{place}: "{key}" is {_short(value)}; it must be a text')
    return value


def _texts(row: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise UserError(f'{place}: "{key}" is {_short(value)}; it must be a list of texts')
    if not 2 <= len(value) <= MAX_CHOICES:
        raise UserError(f'{place}: "{key}" has {len(value)} texts; there must be 2 to {MAX_CHOICES}')
    return tuple(value)


def _gold(row: Mapping[str, Any], count: int, place: str) -> int:
    value = row.get("gold")
    if type(value) is not int or not 0 <= value < count:
        raise UserError(f'{place}: "gold" is {_short(value)}; it must be the index of the right one, 0 to {count - 1}')
    return value


def _short(value: object) -> str:
    text = "missing" if value is None else printable(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _files(name: str, folder: Path) -> list[Path]:
    """The files of a name, in order."""
    for place in (Path(name), folder / name):
        if place.is_file():
            return [place]
        if place.is_dir():
            found = sorted(path for path in place.rglob("*") if path.is_file() and path.suffix in SUFFIXES)
            if not found:
                raise UserError(f"--tasks {name}: {place} has no files of tasks ({', '.join(SUFFIXES)})")
            return found
    if found := _below(folder, name):
        return [_one(name, found)]
    raise UserError(f"--tasks {printable(name)}: neither a file or folder, nor the name of one below {folder}")


def _below(folder: Path, name: str) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"--task-files {folder}: no such folder; it holds the files of the tasks")
    return sorted(path for path in folder.rglob("*") if path.stem == name and path.suffix in SUFFIXES)


def _one(name: str, found: Sequence[Path]) -> Path:
    if len(found) > 1:
        raise UserError(f"--tasks {name}: two files have this name: {found[0]} and {found[1]}; give the path of one")
    return found[0]


def _settings(folder: Path, name: str, setup: Setup) -> Setup:
    """What `tasks.toml` beside the file says about the task of that name.

    Raises:
        UserError: It is no TOML, or says something else.
    """
    path = folder / SETTINGS
    if not path.is_file():
        return setup
    try:
        said = tomllib.loads(read_text(path)).get(name, {})
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
    kinds: dict[str, tuple[type, ...]] = {"shots": (int,), "delimiter": (str,), "baseline": (float, int)}
    for key, value in said.items() if isinstance(said, dict) else [(name, said)]:
        if key not in kinds or not isinstance(said, dict):
            raise UserError(f"{path}: [{name}] {_short(key)}: a task has {_listed(kinds)}")
        if isinstance(value, bool) or not isinstance(value, kinds[key]):
            raise UserError(f"{path}: [{name}] {key} = {_short(value)} is no {kinds[key][0].__name__}")
    found = replace(setup, **said)
    if not 0 <= found.shots <= MAX_SHOTS or not 0 <= (found.baseline or 0) < 1:
        raise UserError(f"{path}: [{name}]: shots are 0 to {MAX_SHOTS}, and a baseline is at least 0 and below 1")
    return found


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"
