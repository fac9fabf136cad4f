"""Decoding one id after the other: the pieces add up to the text that decoding all ids at once gives.

`ByteStream` joins bytes. `EngineStream` asks the engine for the text of the last few ids, with and without the newest,
and gives out the difference once no later id can change it.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

BROKEN = "\ufffd"


class Stream(Protocol):
    """What `Tokenizer.stream` returns."""

    def push(self, number: int) -> str:
        """The characters that this id completes.

        Raises:
            ValueError: the id is not in the vocabulary.
        """

    def finish(self) -> str:
        """The rest: U+FFFD for a character that was never completed. The stream then starts anew."""


class HasBytes(Protocol):
    """What a `ByteStream` needs of a tokenizer."""

    def token_bytes(self, token: int, /) -> bytes: ...


class ByteStream:
    """Text of ids that are bytes."""

    def __init__(self, tokenizer: HasBytes) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, number: int) -> str:
        return self._decoder.decode(self._tokenizer.token_bytes(number))

    def finish(self) -> str:
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


class EngineStream:
    """Text of ids by a whole decoder.

    Args:
        decode: Ids -> text.
        clean: The same text without blanks before punctuation, or as it is.
        bytewise: Ids that stand for one byte each: a run of them is right or wrong as a whole.
        fragile: Endings of a text that a later id may still change.
        whole: Nothing is certain before the end.
        before: Ids of the text that comes before; not given out.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        clean: Callable[[str], str],
        bytewise: Collection[int],
        fragile: Collection[str],
        whole: bool,
        before: Sequence[int] = (),
    ) -> None:
        self._decode, self._clean = decode, clean
        self._bytewise, self._fragile, self._whole = bytewise, tuple(fragile), whole
        self._ids, self._given = list(before), len(before)
        self._start = 0

    def push(self, number: int) -> str:
        self._ids.append(number)
        if self._whole or number in self._bytewise:
            return ""
        text = self._decode(self._ids[self._start :])
        if text.endswith((BROKEN, *self._fragile)):
            return ""
        return self._give(text)

    def _give(self, text: str) -> str:
        known = self._clean(self._decode(self._ids[self._start : self._given]))
        self._start, self._given = self._given, len(self._ids)
        return self._clean(text)[len(known) :]

    def finish(self) -> str:
        rest = self._give(self._decode(self._ids[self._start :])) if self._given < len(self._ids) else ""
        self._ids, self._given, self._start = [], 0, 0
        return rest


def fragile_endings(decoder: Mapping[str, Any] | None, cleaned: Sequence[tuple[str, str]]) -> tuple[set[str], bool]:
    """Endings that a later id may change under a decoder of a `tokenizer.json`, and whether nothing is certain."""
    steps = (decoder or {}).get("decoders", [decoder] if decoder else [])
    fragile = {before[:end] for before, _ in cleaned for end in range(1, len(before))}
    whole, fused = False, False
    for step in steps:
        kind = step.get("type")
        if kind == "Strip" and step.get("stop"):
            whole = True
        elif kind == "Replace":
            pattern = step["pattern"].get("String")
            whole |= fused and (pattern is None or len(pattern) != 1)
        elif kind not in (*KNOWN, "Strip"):
            whole = True
        fused |= kind == "Fuse"
    return fragile, whole


KNOWN = ("ByteLevel", "ByteFallback", "Fuse", "Metaspace", "WordPiece", "BPEDecoder")
