"""The tokenizer: text <-> ids, with special tokens as ids only.

    tokenizer = Tokenizer.load("runs/tokenizer/demo-3f9a1c")     # or a folder, a file, "cl100k_base"
    ids = tokenizer.encode("hello world")                        # np.ndarray uint32
    tokenizer.decode(ids)                                        # "hello world"

Text that spells a special token is ordinary text: `encode` never returns a special id. `glassmill.tokens.chat` inserts
control tokens as ids, so a user cannot impersonate the system.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassmill.errors import UserError
from glassmill.tokens import explain, formats, loading
from glassmill.tokens.codecs import Codec, Ids, NativeCodec, repair
from glassmill.tokens.specials import CHAT_TEMPLATE, END_OF_TEXT, IM_END
from glassmill.tokens.split import Piece
from glassmill.tokens.streams import ByteStream, Stream
from glassmill.tokens.templates.turns import turn_end

if TYPE_CHECKING:
    from glassmill.tokens.hugging_face import Engine

LARGEST_VOCABULARY = 2**22
DOCUMENT_ENDS = (END_OF_TEXT, "<|end_of_text|>", "</s>")
TURN_ENDS = (IM_END, "<|eot_id|>", "<|end_of_text|>", END_OF_TEXT)


class Tokenizer:
    """Text to ids and back. Create one with `load` or `from_ranks`."""

    def __init__(
        self,
        codec: Codec,
        symbols: Mapping[int, bytes],
        special: Mapping[str, int],
        *,
        eos: str | None = None,
        bos: str | None = None,
        chat_template: str | None = None,
        files: loading.Files,
        engine: Engine | None = None,
        templates: Mapping[str, str] | None = None,
        ends: Sequence[int] = (),
        generation: Mapping[str, Any] | None = None,
    ) -> None:
        """`symbols` holds the bytes of every ordinary id, `files` what `save` writes.

        An imported tokenizer also has an `engine`, chat `templates` by name, the ids that its folder says `ends` an
        answer, and its `generation_config.json`.
        """
        self._codec, self.engine = codec, engine
        self.special: dict[str, int] = dict(special)
        self._names = {number: name for name, number in special.items()}
        self.vocab_size: int = 1 + max([*symbols, *self._names])
        if self.vocab_size > LARGEST_VOCABULARY or min([*symbols, *self._names]) < 0:
            raise UserError(f"token ids up to {self.vocab_size - 1}: the tokenizer's files are damaged")
        self._bytes: list[bytes | None] = [None] * self.vocab_size
        for number, symbol in symbols.items():
            self._bytes[number] = symbol
        for name, number in special.items():
            self._bytes[number] = name.encode()
        self.eos_token, self.bos_token = eos, bos
        self.chat_template = chat_template
        self.templates: dict[str, str] = dict(templates or {})
        self.generation: dict[str, Any] = dict(generation or {})
        self._files, self._ends = files, tuple(ends)

    @classmethod
    def load(cls, path_or_name: str | Path) -> Tokenizer:
        """The tokenizer in a model folder, a run folder, a `.tiktoken` or `tokenizer.json` file, or with a known name.

        Raises:
            UserError: not found, or not supported; the message says what to do.
        """
        return cls(**loading.load_parts(path_or_name))

    @classmethod
    def from_ranks(
        cls, ranks: Mapping[bytes, int], pattern: str, special: Mapping[str, int], *, eos: str | None = END_OF_TEXT
    ) -> Tokenizer:
        """A tokenizer from ranks and a pattern, with our chat template if the vocabulary has its control tokens."""
        template = CHAT_TEMPLATE if IM_END in special else None
        files = loading.OwnFiles(dict(ranks), pattern, dict(special), eos, template)
        return cls(**loading.own_parts(files))

    @cached_property
    def ranks(self) -> Mapping[bytes, int]:
        """The rank of each symbol, by its bytes; empty if the vocabulary is not made by merging bytes."""
        return self._files.order()

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {symbol: number for number, symbol in reversed(list(enumerate(self._bytes))) if symbol is not None}

    @property
    def merges(self) -> list[tuple[int, int]]:
        """The two ids each merge joins, in rank order; empty for an imported `tokenizer.json`."""
        return self._files.merges if isinstance(self._files, loading.OwnFiles) else []

    def symbol_ids(self) -> list[int]:
        """The ids that text can encode to, ascending."""
        return [n for n, symbol in enumerate(self._bytes) if symbol is not None and n not in self._names]

    def id_of(self, symbol: bytes) -> int:
        """The id of the symbol with these bytes.

        Raises:
            ValueError: no such symbol.
        """
        if symbol not in self._ids:
            raise ValueError(f"no symbol {formats.show(symbol)!r} in the vocabulary of {self.vocab_size}")
        return self._ids[symbol]

    @property
    def eos_id(self) -> int:
        """The id that ends a document.

        Raises:
            UserError: this tokenizer has no such token.
        """
        number = self._number_of(self.eos_token)
        if number is None and not self._ends:
            raise UserError("this tokenizer has no end-of-text token; set eos_token in its tokenizer_config.json")
        return self._ends[0] if number is None else number

    @property
    def document_end_id(self) -> int:
        """The id between two documents; in chat models often not the one that ends an answer.

        Raises:
            UserError: this tokenizer has no such token.
        """
        found = [self.special[name] for name in DOCUMENT_ENDS if name in self.special]
        return found[0] if found else self.eos_id

    @property
    def names(self) -> dict[str, str]:
        """The text of each special token by its role (`bos_token`, ...), as chat templates know them."""
        known = {"bos_token": self.bos_token, "eos_token": self.eos_token}
        own = {role: name for role, name in known.items() if name is not None}
        return own if self.engine is None else self.engine.names

    @property
    def bos_id(self) -> int | None:
        """The id that begins a document, if there is one."""
        return self._number_of(self.bos_token)

    def _number_of(self, name: str | None) -> int | None:
        if name is None or name in self.special or self.engine is None:
            return self.special.get(name or "")
        number = self.engine.tokenizer.token_to_id(name)
        return None if number is None else int(number)

    @cached_property
    def stop_ids(self) -> list[int]:
        """Every id that ends a completion: of a text, and of a turn.

        An imported folder names them in `generation_config.json`, `config.json`, as `eos_token`, and as what its chat
        template writes after an answer. Only where none is named, well-known names count.
        """
        if self.engine is None:
            names = {self.eos_token, *TURN_ENDS}
            return sorted(number for name, number in self.special.items() if name in names)
        eos, turn = self._number_of(self.eos_token), turn_end(self)
        named = {*self._ends, *([] if eos is None else [eos]), *([] if turn is None else [self.special[turn]])}
        return sorted(named or {self.special[name] for name in TURN_ENDS if name in self.special})

    def encode(self, text: str, special: Collection[str] = ()) -> Ids:
        """Ids of `text`, uint32. A lone surrogate becomes U+FFFD; text that spells a special token stays text.

        `special` lists special tokens that the caller (never a user) wrote into the text and wants as ids.

        >>> Tokenizer.load("cl100k_base").encode("hello world")
        array([15339,  1917], dtype=uint32)

        Raises:
            ValueError: `special` lists a token that this tokenizer does not have.
        """
        if not special:
            return self._codec.encode(text)
        names = sorted(special, key=len, reverse=True)
        unknown = [name for name in names if name not in self.special]
        if unknown:
            known = ", ".join([*self.special][:10])
            raise ValueError(f"unknown special token {unknown[0]!r}; available: {known}")
        pattern = re.compile("|".join(map(re.escape, names)))
        if self.engine is not None:
            text = repair(text)
            written = np.zeros(len(text), dtype=bool)
            for match in pattern.finditer(text):
                written[match.start() : match.end()] = True
            return self.engine.conversation(text, written).ids
        parts = re.split(f"({pattern.pattern})", text)
        return np.concatenate(
            [
                np.array([self.special[part]], dtype=np.uint32) if place % 2 else self._codec.encode(part)
                for place, part in enumerate(parts)
            ]
        )

    def framed(self, text: str) -> Ids:
        """Ids of `text` and of what an imported tokenizer's files put around a text."""
        return self._codec.encode(text) if self.engine is None else self.engine.prompt(repair(text))

    def prompt_ids(self, text: str) -> Ids:
        """Ids of a raw prompt, `framed`; an empty one is the start of a document."""
        ids = self.framed(text)
        if len(ids):
            return ids
        return np.array([self.eos_id if self.bos_id is None else self.bos_id], dtype=np.uint32)

    def encode_batch(self, texts: Sequence[str], threads: int = 0) -> list[Ids]:
        """`encode` for each text; `threads=0` uses all cores."""
        return self._codec.encode_batch(texts, threads)

    def encode_flat(
        self, texts: Sequence[str], *, dtype: Any = np.uint32, end_id: int | None = None, threads: int = 0
    ) -> tuple[Ids, np.ndarray]:
        """The ids of all texts in one array of `dtype` (uint16 or uint32), and the end of each text in it, uint64.

        `end_id` is appended to every text.

        Raises:
            ValueError: this vocabulary's ids do not fit `dtype`.
        """
        wide = np.dtype(dtype) == np.uint32
        if isinstance(self._codec, NativeCodec) and self._codec.flat:
            return self._codec.encode_flat(texts, threads, wide, end_id)
        if not wide and self.vocab_size > 2**16:
            raise ValueError("this vocabulary's ids do not fit in 16 bits")
        end = np.array([] if end_id is None else [end_id], dtype=np.uint32)
        arrays = [np.concatenate([ids, end]) for ids in self._codec.encode_batch(texts, threads)]
        flat = np.concatenate([np.zeros(0, np.uint32), *arrays]).astype(dtype)
        return flat, np.cumsum([len(ids) for ids in arrays], dtype=np.uint64)

    def encode_with_spans(self, text: str) -> tuple[Ids, np.ndarray]:
        """Ids, and the start and end of each in bytes of the text (surrogates repaired), `(n, 2)` int64."""
        ids = self._codec.encode(text)
        ends = np.cumsum([len(self.token_bytes(number)) for number in ids.tolist()], dtype=np.int64)
        starts = np.concatenate([np.zeros(min(1, len(ids)), dtype=np.int64), ends[:-1]])
        return ids, np.stack([starts, ends], axis=1)

    def decode(self, ids: Iterable[int] | Ids, skip_special: bool = False) -> str:
        """The text of `ids`; invalid UTF-8 becomes U+FFFD, special tokens their names, or nothing if skipped.

        Raises:
            ValueError: an id is not in the vocabulary; the message names it.
        """
        if self.engine is not None:
            numbers = [int(number) for number in ids]
            for number in numbers:
                self.token_bytes(number)
            return self.engine.decode(numbers, skip_special)
        if skip_special:
            ids = [int(number) for number in ids if int(number) not in self._names]
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids: Iterable[int] | Ids) -> bytes:
        """The exact bytes of `ids`.

        Raises:
            ValueError: an id is not in the vocabulary; the message names it.
        """
        if isinstance(self._codec, NativeCodec) and self._codec.flat:
            return self._codec.encoder.decode_bytes(ids)
        return b"".join(self.token_bytes(int(number)) for number in ids)

    def stream(self, before: Sequence[int] = ()) -> Stream:
        """Decodes ids one by one; each character is returned as soon as it is complete and cannot change.

        `before` holds the ids of the text that this one continues: some decoders write a text's first word differently.
        """
        return ByteStream(self) if self.engine is None else self.engine.stream(before)

    def token_bytes(self, number: int) -> bytes:
        """The bytes behind one id.

        Raises:
            ValueError: the id is not in the vocabulary.
        """
        symbol = self._bytes[number] if 0 <= number < self.vocab_size else None
        if symbol is None:
            raise ValueError(f"token id {number} is not in the vocabulary of {self.vocab_size}")
        return symbol

    def text_lengths(self) -> np.ndarray:
        """Bytes of text per id, `(V,)` uint16: 0 for special and unused ids."""
        return np.array(
            [0 if number in self._names or symbol is None else min(len(symbol), 65535)
             for number, symbol in enumerate(self._bytes)],
            dtype=np.uint16,
        )  # fmt: skip

    def pieces(self, text: str) -> list[Piece]:
        """How `text` is split before merging, and by which branch of the pattern."""
        return self._codec.pieces(text)

    def explain(self, text: str) -> list[explain.TokenEntry]:
        """One entry per token of `text`; see `glassmill.tokens.explain`, which also has merge trees and comparisons."""
        return explain.tokens(self, text)

    def save(self, folder: str | Path) -> None:
        """Writes the files of `glassmill.tokens.formats` into `folder`, for `load` and for transformers."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        lengths = {"token_bytes.npy": self.text_lengths()}
        formats.write_files(Path(folder), {**self._files.contents(), **lengths})
