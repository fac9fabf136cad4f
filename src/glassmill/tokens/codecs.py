"""The engines under `Tokenizer`: the native core, its plain twin, and Hugging Face's for forms that neither supports.

In: text. Out: ids. None ever turns text into special tokens, and all give the same ids; they differ in speed and in
what they can load.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from glassmill import native
from glassmill.run.executors import cores
from glassmill.tokens import plain_bpe
from glassmill.tokens.split import Piece, named_pieces, scheme_of

if TYPE_CHECKING:
    from glassmill.tokens.hugging_face import Engine

Ids = np.ndarray
Form = Literal["NFC", "NFKC"]
PIECES_KEPT = 1 << 16


class Codec(Protocol):
    """What an engine provides."""

    def encode(self, text: str) -> Ids:
        """Ids of `text`, uint32; a lone surrogate becomes U+FFFD."""

    def encode_batch(self, texts: Sequence[str], threads: int = 0) -> list[Ids]:
        """`encode` for each; `threads=0` uses all cores."""

    def pieces(self, text: str) -> list[Piece]:
        """How the text is split before merging, and by which branch of the pattern."""


class NativeCodec:
    """Byte-level BPE by the C++ core; see `glassmill.native`."""

    def __init__(
        self,
        ranks: Mapping[bytes, int],
        pattern: str,
        special: Mapping[str, int],
        *,
        merges: Sequence[tuple[int, int, int]] | None = None,
        ignore_merges: bool = True,
        form: Form | None = None,
        missing: bytes = b"",
    ) -> None:
        """`ranks` are the ids and, unless `merges` (left id, right id, made id) are given, also the merge order.

        `ignore_merges`: a piece that is a symbol becomes that symbol, even if no merges lead to it. `form`: a Unicode
        normal form applied to texts first. `missing`: bytes without a symbol, which are dropped from the pieces.
        """
        self._scheme = scheme_of(pattern)
        self._pattern, self._form, self._missing = pattern, form, missing
        beyond = 1 + max([*ranks.values(), *special.values()])
        stand_ins = {bytes([value]): beyond + place for place, value in enumerate(missing)}  # the core needs all 256
        self._arguments = ({**ranks, **stand_ins}, dict(special), merges, ignore_merges)

    @cached_property
    def encoder(self) -> native.Encoder:
        """The core's object; building it takes a fifth of a second for 100,000 symbols."""
        ranks, special, merges, ignore_merges = self._arguments
        flat = None if merges is None else np.array(merges, dtype=np.int64).reshape(-1)
        name, digits = (self._scheme.name, self._scheme.digits) if self._scheme else ("none", 0)
        return native.Encoder(ranks, name, digits, special, flat, ignore_merges)

    def encode(self, text: str) -> Ids:
        text = _normal(text, self._form)
        if self.flat:
            return self.encoder.encode(text)
        text = repair(text)
        data = text.encode()
        if self._scheme and not (self._missing and len(data.translate(None, self._missing)) < len(data)):
            return self.encoder.encode(data)
        pieces = [piece.text.encode().translate(None, self._missing) for piece in self.pieces(text)]
        ends = np.cumsum(np.array([len(piece) for piece in pieces], dtype=np.uint64), dtype=np.uint64)
        return self.encoder.encode_pieces(b"".join(pieces), ends)

    def encode_batch(self, texts: Sequence[str], threads: int = 0) -> list[Ids]:
        if self.flat:
            return self.encoder.encode_batch([_normal(text, self._form) for text in texts], threads or cores())
        return [self.encode(text) for text in texts]

    def encode_flat(self, texts: Sequence[str], threads: int, wide: bool, end_id: int | None) -> tuple[Ids, Ids]:
        """See `Tokenizer.encode_flat`; only where it is `flat`."""
        texts = [_normal(text, self._form) for text in texts]
        return self.encoder.encode_flat(texts, threads or cores(), wide, end_id)

    @property
    def flat(self) -> bool:
        """Whether the core does everything, for every text."""
        return self._scheme is not None and not self._missing

    def pieces(self, text: str) -> list[Piece]:
        return named_pieces(repair(_normal(text, self._form)), self._pattern)


class PlainCodec:
    """The same in plain Python, for installations without the core; caches pieces."""

    def __init__(
        self,
        ranks: Mapping[bytes, int],
        pattern: str,
        *,
        merges: Sequence[tuple[int, int, int]] | None = None,
        ignore_merges: bool = True,
        form: Form | None = None,
        missing: bytes = b"",
    ) -> None:
        """As for `NativeCodec`."""
        self._pattern, self._form = pattern, form
        order: Mapping[bytes, int] = ranks
        if merges is not None:
            symbols = {number: symbol for symbol, number in ranks.items()}
            order = {symbols[made]: place for place, (_, _, made) in reversed(list(enumerate(merges)))}
        self._of_piece = lru_cache(maxsize=PIECES_KEPT)(_piece_encoder(ranks, order, ignore_merges, missing))

    def encode(self, text: str) -> Ids:
        pieces = self.pieces(text)
        return np.array([number for piece in pieces for number in self._of_piece(piece.text)], dtype=np.uint32)

    def encode_batch(self, texts: Sequence[str], threads: int = 0) -> list[Ids]:
        return [self.encode(text) for text in texts]

    def pieces(self, text: str) -> list[Piece]:
        return named_pieces(repair(_normal(text, self._form)), self._pattern)


class AddedWords:
    """Byte-level BPE with whole words beside it, which are found first: what is between them is encoded by itself."""

    def __init__(self, codec: Codec, words: Mapping[str, int]) -> None:
        self._codec, self._words = codec, dict(words)
        longest_first = sorted(words, key=len, reverse=True)
        self._pattern = re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    def encode(self, text: str) -> Ids:
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str], threads: int = 0) -> list[Ids]:
        split = [self._pattern.split(repair(text)) for text in texts]
        between = iter(self._codec.encode_batch([part for parts in split for part in parts[::2]], threads))
        return [np.concatenate([self._word(part) if odd % 2 else next(between) for odd, part in enumerate(parts)])
                for parts in split]  # fmt: skip

    def _word(self, text: str) -> Ids:
        return np.array([self._words[text]], dtype=np.uint32)

    def pieces(self, text: str) -> list[Piece]:
        parts = enumerate(self._pattern.split(repair(text)))
        return [piece for odd, part in parts
                for piece in ([Piece(part, "added word")] if odd % 2 else self._codec.pieces(part))]  # fmt: skip


class HuggingFaceCodec:
    """Any tokenizer described by a `tokenizer.json`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def encode(self, text: str) -> Ids:
        return self._engine.encode(repair(text)).ids

    def encode_batch(self, texts: Sequence[str], threads: int = 0) -> list[Ids]:
        return self._engine.encode_batch([repair(text) for text in texts])

    def pieces(self, text: str) -> list[Piece]:
        normalizer, splitter = self._engine.tokenizer.normalizer, self._engine.tokenizer.pre_tokenizer
        text = normalizer.normalize_str(repair(text)) if normalizer else repair(text)
        if not splitter:
            return [Piece(text, "")]
        return [Piece(text[start:end], "") for _, (start, end) in splitter.pre_tokenize_str(text)]


def bpe_codec(ranks: Mapping[bytes, int], pattern: str, special: Mapping[str, int], **more: Any) -> Codec:
    """The native engine, or its plain twin without the core. `more` as for `NativeCodec`."""
    if native.available():
        return NativeCodec(ranks, pattern, special, **more)
    return PlainCodec(ranks, pattern, **more)


def repair(text: str) -> str:
    """`text` with every lone surrogate (clients may send some) as U+FFFD, and every pair as its character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _normal(text: str, form: Form | None) -> str:
    return unicodedata.normalize(form, text) if form else text


def _piece_encoder(
    ids: Mapping[bytes, int], order: Mapping[bytes, int], ignore_merges: bool, missing: bytes
) -> Callable[[str], tuple[int, ...]]:
    def encode_piece(piece: str) -> tuple[int, ...]:
        symbol = piece.encode().translate(None, missing)
        if ignore_merges and symbol in ids:
            return (ids[symbol],)
        return tuple(ids[part] for part in plain_bpe.merge_piece(symbol, order))

    return encode_piece
