"""The one reader of JSON that somebody else wrote: bounded in size, depth and number of values, strict about the rest.

In: a path, or bytes. Out: the value, or a `UserError` of one line. Model folders, tokenizers, GGUF metadata and indexes
come through here. What Python's `json` lets pass and later code trips over is refused by name: NaN and Infinity (no
JSON, RFC 8259 section 6), numbers beyond a float, integers of thousands of digits, halves of surrogate pairs, one key
with two values.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from glassmill.errors import UserError

MAX_BYTES = 64 << 20
"""The largest tokenizers in use have 40 MB."""
MAX_VALUES = 6_000_000
"""A vocabulary of 262,144 tokens with its merges in pairs has about 2 million; a value takes up to 72 bytes."""
MAX_DEPTH = 100
MAX_DIGITS = 100
"""Many a `tokenizer_config.json` holds a `model_max_length` of 31 digits."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"

T = TypeVar("T")
_REQUIRED: Any = object()
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def load_json(source: Path | bytes, *, what: str = "", max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value in a JSON text: UTF-8, or UTF-16 and UTF-32, with or without a byte order mark.

    Args:
        source: A path, or the text itself.
        what: How messages name it; by default the path.
        max_bytes: More are not read.
        max_depth: How deep lists and objects may stand in each other.

    Raises:
        UserError: It is missing, no regular file, too large or too deep, not JSON, or a value is one of those above.
    """
    what = what or (str(source) if isinstance(source, Path) else "the JSON text")
    data = read_bounded(source, what, max_bytes) if isinstance(source, Path) else source
    if len(data) > max_bytes:
        raise UserError(f"{what} has {len(data):,} bytes of JSON; at most {max_bytes:,} are read")
    if not data.strip():
        raise UserError(f"{what} is empty; it should be JSON")
    if data.startswith(LFS_POINTER):
        raise UserError(lfs_message(what))
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise UserError(f"{what} holds more than {MAX_VALUES:,} values; no model's file does")
    try:
        value = json.loads(
            data.decode(json.detect_encoding(data)),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise UserError(_too_deep(what, max_depth)) from None
    except UnicodeEncodeError:
        raise UserError(f"{what} holds half of a surrogate pair (\\ud800 to \\udfff), which is not text") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{what} is not UTF-8: byte {error.start:,} is {data[error.start]:#04x}") from None
    except json.JSONDecodeError as error:
        page = "; it is a web page, perhaps of a failed download" if data.lstrip()[:1] == b"<" else ""
        raise UserError(f"{what} is not JSON: {error}{page}") from None
    except ValueError as error:  # of the hooks below, which say why in a few words
        raise UserError(f"{what} {error}") from None
    if _depth(value, max_depth) > max_depth:
        raise UserError(_too_deep(what, max_depth))
    return value


def load_object(source: Path | bytes, *, what: str = "", max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """As `load_json`, of an object.

    Raises:
        UserError: As `load_json`, or the value is a list, a text or a number.
    """
    what = what or (str(source) if isinstance(source, Path) else "the JSON text")
    value = load_json(source, what=what, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise UserError(f"{what} holds {_shown(value)}; it should be an object: {{...}}")
    return value


def field(
    value: dict[str, Any],
    name: str,
    kind: type[T],
    *,
    what: str,
    default: Any = _REQUIRED,
    low: float | None = None,
    high: float | None = None,
) -> T:
    """`value[name]`, checked to be a `kind`; `default` stands for a missing key and for null.

    An integer is taken for a float, never a boolean for an integer.

    Args:
        value: The object.
        name: Its key.
        kind: `int`, `float`, `str`, `bool`, `list` or `dict`.
        what: How messages name the object.
        default: What to give where there is nothing; without one the key is required.
        low: The least value allowed.
        high: The greatest value allowed.

    Raises:
        UserError: The key is missing, or its value has another type or is out of bounds.
    """
    found = value.get(name)
    if found is None:
        if default is _REQUIRED:
            raise UserError(f"{what} lacks {name!r}" if name not in value else f"{what}: {name} is null")
        return cast(T, default)
    if kind is float and type(found) is int:
        found = _as_float(found)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise UserError(f"{what}: {name} = {_shown(found)} is not {_KINDS.get(kind, kind.__name__)}")
    if low is not None and cast(float, found) < low:
        raise UserError(f"{what}: {name} = {_shown(found)} is less than {low:,}")
    if high is not None and cast(float, found) > high:
        raise UserError(f"{what}: {name} = {_shown(found)} is more than {high:,}")
    return found


_KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def read_bounded(path: Path, what: str = "", max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most `max_bytes`.

    Raises:
        UserError: It is missing, a folder, a pipe or a device, may not be read, or is larger.
    """
    what = what or str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{what} is not a regular file")
        if status.st_size > max_bytes:
            raise UserError(f"{what} has {status.st_size:,} bytes; at most {max_bytes:,} are read")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise UserError(f"{what}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UserError(f"{what} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > max_bytes:
        raise UserError(f"{what} has more than {max_bytes:,} bytes")
    return data


def is_lfs_pointer(path: Path) -> bool:
    """Whether the file only points to one that Git LFS did not fetch."""
    try:
        with path.open("rb") as file:
            return file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False


def lfs_message(what: str) -> str:
    """What to say of a pointer that stands where a file should be."""
    return f"{what} is a Git LFS pointer, not the file itself: run `git lfs pull` in its folder, or download it again"


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A key that comes twice with one value is harmless; with two, readers differ about which counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        for key, value in pairs:
            if made[key] is not value and (type(made[key]) is not type(value) or made[key] != value):
                raise ValueError(f"gives the key {_shown(key)} two values: {_shown(value)} and {_shown(made[key])}")
    return made


def _constant(name: str) -> float:
    raise ValueError(f"holds {name}, which is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"holds the number {text[:40]}, which is out of range")
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"holds an integer of {len(text):,} digits")
    return int(text)


def _as_float(number: int) -> float:
    return float(number)  # never overflows: `MAX_DIGITS` is below the 309 digits of the largest float


def _depth(value: Any, limit: int) -> int:
    """How deep containers stand in each other, counted up to one more than `limit`."""
    level = [value] if isinstance(value, dict | list) else []
    depth = 0
    while level and depth <= limit:
        depth += 1
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [child for children in inner for child in children if isinstance(child, dict | list)]
    return depth


def _too_deep(what: str, limit: int) -> str:
    return f"{what} has lists or objects more than {limit} deep in each other"


def _shown(value: object) -> str:
    """A value in a message: short, on one line, without control characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
