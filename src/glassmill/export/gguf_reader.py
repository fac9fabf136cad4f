"""A strict GGUF reader: every length is checked against the file size before anything is allocated.

In: a path. Out: metadata and tensors. Readers of this format keep breaking on crafted headers (an array that claims
2^60 items), and the `gguf` package's own takes seconds for a vocabulary; so the header is parsed here.

Files written here carry their own SHA-256 under `CHECKSUM`, counted with zeros in its place, and are refused if it is
another.

Source: ggml docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from glassmill.errors import GgufError, UserError
from glassmill.foreign_json import is_lfs_pointer, lfs_message
from glassmill.model.blocks import FORMATS, Format, dequantize

MAGIC = b"GGUF"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
PLAIN = {"F32": "<f4", "F16": "<f2"}
READABLE = ("F32", "F16", "BF16", *(name.upper() for name in FORMATS))
MAX_DIMENSIONS = 4
MAX_STRING = 2**24
MAX_ITEMS = 2**22
"""Values in all arrays of a header; a vocabulary of 262,144 tokens has about 1.3 million."""
MAX_TENSORS = 100_000
CHECKSUM = "glassmill.sha256"
NO_CHECKSUM = "0" * 64


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor is in the file. `shape` is in numpy's order (GGUF reverses it)."""

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    offset: int
    num_bytes: int


class GgufFile:
    """Metadata and tensors of one file.

    Raises:
        UserError: not a GGUF file, truncated, or with an inconsistent header.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._bytes = _map(self.path)
        header = _Header(self._bytes)
        try:
            self.metadata, self.tensors = header.read()
        except (GgufError, UnicodeDecodeError, struct.error, OverflowError) as error:
            raise UserError(f"{self.path} is not a valid GGUF file: {error}") from None
        if CHECKSUM not in self.metadata and any(key.startswith("glassmill") for key in self.metadata):
            raise UserError(
                f"{self.path} is damaged: it was written by glassmill, and has no {CHECKSUM}; copy it again"
            )
        if header.checksum_at and self.metadata[CHECKSUM] != checksum(self._bytes, header.checksum_at):
            raise UserError(f"{self.path} is damaged: its SHA-256 is not the one it was written with; copy it again")

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """The metadata value at `key`, checked to have type `kind`.

        Raises:
            UserError: it is missing and there is no default, or it has another type.
        """
        value = self.metadata.get(key, default)
        if value is None and key not in self.metadata and default is None:
            raise UserError(f"{self.path} has no key {key}")
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise UserError(f"{self.path}: {key} = {str(value)[:60]!r} is not of type {kind.__name__}")
        return value

    def tensor(self, name: str) -> np.ndarray:
        """The values of a tensor, float32.

        Raises:
            UserError: no such tensor, or its type is not supported.
        """
        raw, form = self.rows(name)
        if form is not None:
            return dequantize(raw, form)
        kind = self.tensors[name].kind.name
        if kind == "BF16":
            return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
        return raw.view(PLAIN[kind]).astype(np.float32)

    def rows(self, name: str) -> tuple[np.ndarray, Format | None]:
        """The bytes of a tensor, uint8, in the shape of its rows, and their block format if they have one.

        Raises:
            UserError: no such tensor, or its type is not supported.
        """
        info = self.tensors.get(name)
        if info is None:
            raise UserError(f"{self.path} has no tensor {name}")
        kind = info.kind.name
        if kind not in READABLE:
            raise UserError(f"{self.path}: tensor {name} has type {kind}; supported are {', '.join(READABLE)}")
        raw = np.frombuffer(self._bytes, dtype=np.uint8, count=info.num_bytes, offset=info.offset)
        return raw.reshape(*info.shape[:-1], -1), FORMATS.get(kind.lower())


class _Header:
    """Parses the header in one pass, never past the end of the file."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 0
        self._items = 0
        self.checksum_at = 0

    def read(self) -> tuple[Mapping[str, Any], dict[str, TensorInfo]]:
        if self._take(4) != MAGIC:
            raise GgufError("the magic bytes GGUF are missing")
        version = self._number("I")
        if version not in (2, 3):
            order = " (a big-endian file)" if version in (2 << 24, 3 << 24) else ""
            raise GgufError(f"unsupported version {version}{order}; supported are 2 and 3 (little-endian)")
        num_tensors, num_keys = self._count(24), self._count(13)
        if num_tensors > MAX_TENSORS or num_keys > MAX_TENSORS:
            raise GgufError(f"it claims {num_tensors:,} tensors and {num_keys:,} keys")
        metadata: dict[str, object] = {}
        for _ in range(num_keys):
            key = self._string()
            if key in metadata:
                raise GgufError(f"duplicate key {key[:60]!r}")
            metadata[key] = self._value(self._number("I"))
            if key == CHECKSUM:
                self.checksum_at = self._at - len(NO_CHECKSUM)
        entries = [self._tensor() for _ in range(num_tensors)]
        return metadata, self._placed(entries, metadata.get("general.alignment", 32))

    def _placed(self, entries: list[tuple[str, TensorInfo]], alignment: object) -> dict[str, TensorInfo]:
        """The tensors with offsets from the start of the file. They lie one after the other to the end of the file, in
        the order of the header, each at a multiple of `alignment`, as ggml demands."""
        if type(alignment) is not int or not 1 <= alignment <= 1 << 16 or alignment & (alignment - 1):
            raise GgufError(f"alignment {alignment!r} is not a power of two")
        data = -(-self._at // alignment) * alignment
        tensors: dict[str, TensorInfo] = {}
        at = 0
        for name, info in entries:
            if name in tensors:
                raise GgufError(f"duplicate tensor {name[:60]!r}")
            if data + info.offset + info.num_bytes > len(self._content):
                raise GgufError(f"truncated: tensor {name[:60]!r} extends past the end of the file")
            if info.offset != at:
                raise GgufError(f"tensor {name[:60]!r} is at byte {info.offset} of the data, not at {at}")
            at += -(-info.num_bytes // alignment) * alignment
            tensors[name] = TensorInfo(info.shape, info.kind, data + info.offset, info.num_bytes)
        if len(self._content) > data + at:
            raise GgufError(f"{len(self._content) - data - at} bytes follow after the last tensor")
        return tensors

    def _tensor(self) -> tuple[str, TensorInfo]:
        name = self._string()
        num_dimensions = self._number("I")
        if not 1 <= num_dimensions <= MAX_DIMENSIONS:
            raise GgufError(f"tensor {name[:60]!r} has {num_dimensions} dimensions")
        shape = tuple(reversed([self._number("Q") for _ in range(num_dimensions)]))
        try:
            kind = GGMLQuantizationType(number := self._number("I"))
        except ValueError:
            raise GgufError(f"tensor {name[:60]!r} has unknown type {number}") from None
        block, block_bytes = GGML_QUANT_SIZES[kind]
        if 0 in shape or math.prod(shape) > 8 * len(self._content) or shape[-1] % block:
            raise GgufError(f"tensor {name[:60]!r} has an impossible shape {shape}")
        return name, TensorInfo(shape, kind, self._number("Q"), math.prod(shape) // block * block_bytes)

    def _value(self, kind: int, inside_array: bool = False) -> Any:
        if kind in SCALARS:
            return self._number(SCALARS[kind])
        if kind == STRING:
            return self._string()
        if kind != ARRAY or inside_array:
            raise GgufError(f"a value of unknown type {kind}")
        item = self._number("I")
        if item in SCALARS:
            size = struct.calcsize("<" + SCALARS[item])
            count = self._counted(self._count(size))
            return list(struct.unpack(f"<{count}{SCALARS[item]}", self._take(count * size)))
        return [self._value(item, inside_array=True) for _ in range(self._counted(self._count(8)))]

    def _counted(self, count: int) -> int:
        self._items += count
        if self._items > MAX_ITEMS:
            raise GgufError(f"arrays of more than {MAX_ITEMS:,} values")
        return count

    def _count(self, least_bytes: int) -> int:
        """A number of items of at least `least_bytes` each, checked against what is left of the file."""
        count: int = self._number("Q")
        if count * least_bytes > len(self._content) - self._at:
            raise GgufError(f"truncated, or it claims {count} items that are not there")
        return count

    def _string(self) -> str:
        length = self._count(1)
        if length > MAX_STRING:
            raise GgufError(f"a string of {length} bytes")
        return self._take(length).decode()

    def _number(self, form: str) -> Any:
        return struct.unpack("<" + form, self._take(struct.calcsize("<" + form)))[0]

    def _take(self, count: int) -> bytes:
        if count > len(self._content) - self._at:
            raise GgufError("truncated in its header")
        self._at += count
        return self._content[self._at - count : self._at]


def checksum(content: mmap.mmap | bytes, at: int) -> str:
    """SHA-256 of a file that holds it at the byte `at`, where zeros are counted instead."""
    digest = hashlib.sha256(content[:at])
    digest.update(NO_CHECKSUM.encode())
    with memoryview(content) as view, view[at + len(NO_CHECKSUM) :] as rest:
        digest.update(rest)
    return digest.hexdigest()


def seal_gguf(path: Path) -> None:
    """Puts the checksum in its place in a file that was written with `NO_CHECKSUM` there."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        header = _Header(content)
        header.read()
        digest = checksum(content, header.checksum_at)
        content[header.checksum_at : header.checksum_at + len(digest)] = digest.encode()


def _map(path: Path) -> mmap.mmap:
    if is_lfs_pointer(path):
        raise UserError(lfs_message(str(path)))
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise UserError(f"{path} is empty: download it again")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise UserError(f"no file at {path}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
