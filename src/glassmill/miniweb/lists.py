"""The word lists of the MiniWeb: `data/<name>.toml`, read once and checked.

A list is an array of texts, or one text of words parted by white space.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files


class Lists:
    """One data file.

    Args:
        name: Of the file, without `.toml`.

    Raises:
        TypeError: From the methods: the value under the key has another shape.
    """

    def __init__(self, name: str) -> None:
        text = (files("glassmill.miniweb") / "data" / f"{name}.toml").read_text(encoding="utf-8")
        self._values: Mapping[str, object] = tomllib.loads(text)

    def text(self, key: str) -> str:
        """The text under `key`."""
        return _text(self._values[key])

    def texts(self, key: str) -> tuple[str, ...]:
        """The list under `key`."""
        return _texts(self._values[key])

    def rows(self, key: str) -> tuple[tuple[str, ...], ...]:
        """The array of lists under `key`."""
        return _rows(self._values[key])

    def table(self, key: str) -> dict[str, tuple[str, ...]]:
        """A list for every name in the table `key`, in the file's order."""
        return {name: _texts(value) for name, value in _table(self._values[key]).items()}

    def text_table(self, key: str) -> dict[str, str]:
        """A text for every name in the table `key`."""
        return {name: _text(value) for name, value in _table(self._values[key]).items()}

    def row_table(self, key: str) -> dict[str, tuple[tuple[str, ...], ...]]:
        """An array of lists for every name in the table `key`."""
        return {name: _rows(value) for name, value in _table(self._values[key]).items()}

    def exchanges(self, key: str) -> list[tuple[tuple[str, ...], str]]:
        """What can be `said` and its `answer`, for every table of the array `[[key]]`."""
        tables = [_table(value) for value in _array(self._values[key])]
        return [(_texts(table["said"]), _text(table["answer"])) for table in tables]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {value!r}")
    return value


def _array(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"expected an array, found {value!r}")
    return value


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a table, found {value!r}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else tuple(_text(item) for item in _array(value))


def _rows(value: object) -> tuple[tuple[str, ...], ...]:
    return tuple(_texts(row) for row in _array(value))
