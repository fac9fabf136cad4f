"""Results of steps on texts, remembered by the hash of the text and the settings of the step, in one file a shard.

Damage is noticed by a checksum, and the results are begun anew. They are not forced to disk: what a power cut takes is
computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from glassmill.run.files import TEMPORARY

T = TypeVar("T")
MOST_SETTINGS = 8
"""So many settings of one step are remembered in a shard."""
MOST_CHARACTERS = 32 << 20
"""Of new results in memory while a shard is judged, and of those kept of it; the rest is computed again each time."""
RESULT_CHARACTERS = 100
"""Of a result and its hash, without the texts in it."""


class Memo:
    """Results of steps on texts, by the hash of the text: of this shard, from this run and earlier ones.

    A result is a JSON value that depends on nothing but the text and what `key` says of the step's settings.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._tables: dict[str, dict[str, Any]] = {}
        self._used: dict[str, dict[str, Any]] = {}
        self._room = MOST_CHARACTERS
        self._new = False
        if path is not None and path.is_file():
            with suppress(OSError, ValueError):  # damaged: begun anew
                content = path.read_bytes()
                digest, _, text = content.partition(b"\n")
                if hashlib.sha256(text).hexdigest().encode() == digest:
                    self._tables = json.loads(text)

    def step(self, name: str, key: Mapping[str, object], compute: Callable[[str], T]) -> Callable[[str], T]:
        """`compute`, remembered for the settings `key` of the step `name`."""
        if self._path is None:
            return compute
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
        table = self._tables.pop(f"{name}-{digest}", {})
        self._used[f"{name}-{digest}"] = table

        def remembered(text: str) -> T:
            place = hash_of(text)
            if place in table:
                found: T = table[place]
                return found
            result = compute(text)
            texts = sum(len(one) for one in result if isinstance(one, str)) if isinstance(result, tuple) else 0
            self._room -= RESULT_CHARACTERS + texts
            if self._room > 0:
                table[place] = result
                self._new = True
            return result

        return remembered

    def save(self) -> None:
        """Written without forcing it to disk: what a power cut damages is begun anew."""
        if self._path is None or not self._new or not self._path.parent.is_dir():
            return
        steps = Counter[str]()
        kept: list[str] = []
        room = MOST_CHARACTERS
        for name, table in reversed([*self._tables.items(), *self._used.items()]):  # the latest settings first
            step, content = name.rpartition("-")[0], json.dumps(table)
            steps[step] += 1
            room -= len(content)
            if steps[step] <= MOST_SETTINGS and room > 0:
                kept.append(f"{json.dumps(name)}: {content}")
        text = f"{{{', '.join(reversed(kept))}}}".encode()
        write(self._path, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


@lru_cache(4)
def hash_of(text: str) -> str:
    """128 bits of a text, which several steps ask for in a row."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def write(path: Path, content: bytes) -> None:
    """A file that is whole or absent, and not forced to disk."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    temporary.write_bytes(content)
    temporary.replace(path)
