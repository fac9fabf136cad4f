"""Hugging Face's `tokenizers`, set up from a folder as transformers does it: imported models must get the same ids.

In: the files of a folder. Out: an engine that encodes raw prompts, plain texts and rendered conversations, and decodes.
Text never becomes a control token: beside the tokenizer there is a twin whose control tokens have secret names.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from tokenizers import AddedToken, Tokenizer

from glassmill.errors import UserError
from glassmill.tokens.as_transformers import loaded, renamed
from glassmill.tokens.streams import EngineStream, fragile_endings

CLEANED = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
]
CLEANED += [(" 've", "'ve"), (" 're", "'re")]
"""`clean_up_tokenization_spaces`, in this order."""
SECRET = "\U0010fffd"
UNREADABLE = "the tokenizer fails at this text"
CONTEXT = 16
"""Ids of the prompt that decide how the text behind it begins."""


class Encoded(NamedTuple):
    """Ids `(T,)` uint32, and the first and last + 1 character of each, `(T, 2)`."""

    ids: np.ndarray
    spans: np.ndarray


class Engine:
    """A tokenizer as transformers loads it.

    Attributes:
        names: The role of a special token (`bos_token`, ...) -> its text.
        control: Control tokens -> ids; no text becomes one.
        words: Added tokens that are ordinary text -> ids.
        plain_words: Whether each of them is found wherever its letters stand.
    """

    def __init__(self, full: Mapping[str, Any], config: Mapping[str, Any], where: str) -> None:
        """From `tokenizer.json` and everything else that a folder says, see `loading.folder_config`.

        Raises:
            UserError: the engine cannot read it.
        """
        self.where = where
        with self._failing_softly("is damaged"):
            self.tokenizer, self.names = loaded(full, config)
        self.processor = self.tokenizer.post_processor
        self.tokenizer.post_processor = None  # it would trim the spans of tokens
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        added = sorted(self.tokenizer.get_added_tokens_decoder().items())
        self.control = {one.content: number for number, one in added if one.special and one.content.strip()}
        self.words: dict[str, int] = {one.content: number for number, one in added if one.content not in self.control}
        normalizes = self.tokenizer.normalizer is not None
        words = [one for _, one in added if one.content in self.words]
        self.plain_words = all(_matches_anywhere(one) and not (one.normalized and normalizes) for one in words)
        self.hidden = self._hidden([number for number, one in added if one.special])
        self.cleans_up = _cleans_up(full, config)
        unknown = self.names.get("unk_token")
        self._unknown = self.control.get(unknown or "", -1)

    def _hidden(self, special: Sequence[int]) -> frozenset[int]:
        """The special tokens that the engine leaves out of answers: not those that a normalizer has rewritten."""
        others = self.tokenizer.get_vocab(with_added_tokens=False).items()  # in no order
        words = [number for spelled, number in others if number not in special and spelled.isalnum()]
        if not words:
            return frozenset(special)
        ordinary = min(words)
        try:
            with self._failing_softly("cannot decode"):
                alone = self.tokenizer.decode([ordinary])
                pairs = self.tokenizer.decode_batch([[one, ordinary] for one in special], skip_special_tokens=True)
        except UserError:
            return frozenset(special)
        return frozenset(number for number, text in zip(special, pairs, strict=True) if text == alone)

    # --- encoding -----------------------------------------------------------------------------------------------------

    @cached_property
    def _secret(self) -> dict[str, str]:
        return {name: f"{SECRET}{secrets.randbelow(10**24):024d}{SECRET}" for name in self.control}

    @cached_property
    def twin(self) -> Tokenizer:
        """The same with secret names for control tokens."""
        full = json.loads(self.tokenizer.to_str())
        with self._failing_softly("its control tokens cannot be told from text"):
            made = Tokenizer.from_str(json.dumps(renamed(full, self._secret)))
            if {name: made.token_to_id(new) for name, new in self._secret.items()} != self.control:
                raise ValueError("a control token has several ids")
        return made

    @contextmanager
    def _failing_softly(self, what: str) -> Iterator[None]:
        """Turns bare exceptions and panics of the engine into one line.

        Raises:
            UserError: the engine failed.
        """
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise UserError(f"{self.where}: {what}: {' '.join(str(error).split())[:200]}") from None

    def encode(self, text: str) -> Encoded:
        """A text in which nothing is a control token."""
        return _encoded(self._plain(text))

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, as `encode`."""
        with self._failing_softly(UNREADABLE):
            encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        whole = [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]
        pairs = zip(texts, whole, strict=True)
        return [self.encode(text).ids if self._suspicious(text, ids) else ids for text, ids in pairs]

    def _plain(self, text: str) -> Any:
        """The encoding of a text. The twin is only built for a text that seems to have control tokens."""
        with self._failing_softly(UNREADABLE):
            encoding = self.tokenizer.encode(text, add_special_tokens=False)
            if self._suspicious(text, np.array(encoding.ids, dtype=np.uint32)):
                return self.twin.encode(text, add_special_tokens=False)
        return encoding

    def _suspicious(self, text: str, ids: np.ndarray) -> bool:
        found = set(ids[np.isin(ids, self._control_ids)].tolist())
        if found == {self._unknown}:  # also stands for letters that the vocabulary lacks
            return self.names["unk_token"].casefold() in text.casefold()
        return bool(found)

    @cached_property
    def _control_ids(self) -> np.ndarray:
        return np.array(list(self.control.values()), dtype=np.int64)

    def prompt(self, text: str) -> np.ndarray:
        """The ids of a raw prompt: `encode`, and what the file puts around a text."""
        encoding = self._plain(text)
        if self.processor is not None:
            encoding = self.processor.process(encoding, None, True)
        return np.array(encoding.ids, dtype=np.uint32)

    def conversation(self, text: str, written: np.ndarray) -> Encoded:
        """A rendered conversation: control tokens count where the template wrote them.

        Args:
            text: What the template made.
            written: True for every character of it that is the template's own.
        """
        with self._failing_softly(UNREADABLE):
            whole = _encoded(self.tokenizer.encode(text, add_special_tokens=False))
        inside = np.concatenate([[0], np.cumsum(~written)])
        foreign = inside[whole.spans[:, 1]] > inside[whole.spans[:, 0]]
        suspects = np.flatnonzero(foreign & np.isin(whole.ids, self._control_ids))
        if all(whole.ids[place] == self._unknown and not self._spells(text, whole.spans[place]) for place in suspects):
            return whole
        shown = "".join(char if own else SECRET for char, own in zip(text, written.tolist(), strict=True))
        found = [(match.start(), match.end(), match[0]) for match in self._control_pattern.finditer(shown)]
        while True:
            encoded, taken = self._with_secrets(text, found)
            if len(taken) == len(found):
                return encoded
            found = taken  # a rule of the token's own (`single_word`) kept it a text

    def _spells(self, text: str, span: np.ndarray) -> bool:
        return text[span[0] : span[1]].strip() in self.control

    @cached_property
    def _control_pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.control, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def _with_secrets(
        self, text: str, found: Sequence[tuple[int, int, str]]
    ) -> tuple[Encoded, list[tuple[int, int, str]]]:
        """The encoding with these control tokens, and those of them that the engine took."""
        parts, places, at = [], [], 0
        for start, end, name in found:
            parts += [text[at:start], self._secret[name]]
            places += [*range(at, start), *[start] * (len(self._secret[name]) - 1), end - 1]
            at = end
        parts.append(text[at:])
        places += [*range(at, len(text))]
        with self._failing_softly(UNREADABLE):
            encoded = _encoded(self.twin.encode("".join(parts), add_special_tokens=False))
        firsts = np.array([*places, len(text)], dtype=np.int64)
        lasts = np.array([0, *(place + 1 for place in places)], dtype=np.int64)
        spans = np.stack([firsts[encoded.spans[:, 0]], lasts[encoded.spans[:, 1]]], axis=1)
        spans[:, 1] = np.maximum(spans[:, 0], spans[:, 1])
        is_control = np.isin(encoded.ids, self._control_ids)
        took = [(start, end) for start, end in spans[is_control].tolist()]
        taken = [one for one in found if any(start <= one[0] and one[1] <= end for start, end in took)]
        return Encoded(encoded.ids, spans), taken

    # --- decoding -----------------------------------------------------------------------------------------------------

    def decode(self, ids: Sequence[int], skip_special: bool = False) -> str:
        """The text of `ids`, as transformers writes it."""
        return self._clean(self._decoded([number for number in ids if not (skip_special and number in self.hidden)]))

    def _decoded(self, ids: Sequence[int]) -> str:
        if not ids:
            return ""  # at which some decoders panic
        try:
            with self._failing_softly("cannot decode"):
                return str(self.tokenizer.decode(ids, skip_special_tokens=False))
        except UserError:
            return "".join(self.tokenizer.id_to_token(number) or "" for number in ids)

    def _clean(self, text: str) -> str:
        for before, after in CLEANED if self.cleans_up else ():
            text = text.replace(before, after)
        return text

    def stream(self, before: Sequence[int]) -> EngineStream:
        """See `Tokenizer.stream`."""
        fragile, whole, bytewise = self._decoding
        shown = [number for number in before[-CONTEXT:] if number not in self.hidden]
        return EngineStream(self._decoded, self._clean, bytewise, fragile, whole, shown)

    @cached_property
    def _decoding(self) -> tuple[set[str], bool, frozenset[int]]:
        decoder = json.loads(self.tokenizer.to_str())["decoder"]
        runs = '"ByteFallback"' in json.dumps(decoder)
        singles = (self.tokenizer.token_to_id(f"<0x{value:02X}>") for value in range(256 if runs else 0))
        fragile, whole = fragile_endings(decoder, CLEANED if self.cleans_up else [])
        return fragile, whole, frozenset(number for number in singles if number is not None)


def _encoded(encoding: Any) -> Encoded:
    spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    return Encoded(np.array(encoding.ids, dtype=np.uint32), spans)


def _matches_anywhere(token: AddedToken) -> bool:
    return not (token.single_word or token.lstrip or token.rstrip)


def _cleans_up(full: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether answers lose the blanks before punctuation; byte-pair vocabularies are spared unless they insist."""
    insists = config.get("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output")
    return bool(config.get("clean_up_tokenization_spaces")) and (
        full["model"].get("type", "BPE") != "BPE" or bool(insists)
    )
