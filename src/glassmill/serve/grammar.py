"""Answers in a given form: JSON, JSON of a schema, or calls of tools. The next token is then one that the form allows.

The library is llguidance (MIT, no dependencies, no torch): it walks the bytes of a vocabulary with a lexer and an
Earley parser, so it works with any tokenizer that knows its tokens' bytes, and nothing is precomputed for a schema.
It is imported when a request first needs it. Every grammar comes from a client, so size, time and nesting are bounded;
what exceeds them, or what the library does not implement, is refused in its own words.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from glassmill.errors import ApiError
from glassmill.infer.compose import end_token_ids
from glassmill.infer.sampling import Floats

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

    from glassmill.tokens.tokenizer import Tokenizer

MAX_SCHEMA_BYTES = 64_000
MAX_DEPTH = 50
JSON_FORM = {
    "whitespace_flexible": True,
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,40}",  # without a bound, some models write blanks until they are cut
}
LIMITS: dict[str, Any] = {
    "max_grammar_size": 100_000,
    "max_items_in_row": 1_000,
    "initial_lexer_fuel": 500_000,
    "step_lexer_fuel": 100_000,
    "step_max_items": 20_000,
    "max_lexer_states": 50_000,
    "precompute_large_lexemes": False,
    "verbose_errors": False,
}
"""Together about 0.1 s for one token of the worst grammar, while the other rows of the batch wait."""

_vocabularies: weakref.WeakKeyDictionary[Tokenizer, LLTokenizer] = weakref.WeakKeyDictionary()


class Form:
    """The form of a request's answers.

    Args:
        tokenizer: Of the model that answers.
        source: A grammar in llguidance's Lark dialect.
        field: The request's field that it comes from, for errors.

    Attributes:
        field: As given.
        problem: Why an answer could not be held to it, if so; the answer has then ended early.

    Raises:
        ApiError: 400: It is too complex, impossible, or uses what the library does not implement.
    """

    def __init__(self, tokenizer: Tokenizer, source: str, field: str) -> None:
        from llguidance import LLMatcher
        from llguidance._lib import LLParserLimits

        self.ends = sorted(end_token_ids(tokenizer))
        self.field = field
        self.problem: str | None = None
        self._first = LLMatcher(_vocabulary(tokenizer), source, log_level=0, limits=LLParserLimits(**LIMITS))
        if not self._first.is_error():
            self._first.compute_logit_bias()  # some impossible schemas are found out here
        if self._first.is_error():
            raise ApiError(400, f"{field}: {reason(self._first)}", param=field, code="invalid_schema")

    def begin(self) -> FormState:
        """For a new answer."""
        return FormState(self, self._first.deep_copy())


class FormState:
    """Where in the form one answer is (`glassmill.infer.sampling.Constraint`)."""

    def __init__(self, form: Form, matcher: LLMatcher) -> None:
        self.form, self.matcher = form, matcher
        self._forbidden_V: np.ndarray | None = None

    def mask(self, logits_V: Floats) -> None:
        """Leave the tokens that the form allows; after a failure, only those that end the answer."""
        if self._forbidden_V is None:
            allowed = b"" if self.matcher.is_error() else self.matcher.compute_logit_bias()
            self._forbidden_V = np.ones(len(logits_V), dtype=bool)
            if self.matcher.is_error():
                self.form.problem = self.form.problem or reason(self.matcher)
                self._forbidden_V[self.form.ends] = False
            else:
                known = np.frombuffer(allowed, dtype=np.uint8)[: len(logits_V)]
                self._forbidden_V[: len(known)] = known == 0
        logits_V[self._forbidden_V] = -np.inf

    def accept(self, token: int) -> None:
        """Go on behind `token`."""
        self._forbidden_V = None
        if not self.matcher.is_stopped():
            self.matcher.consume_token(token)


def json_form(tokenizer: Tokenizer, schema: object, field: str) -> Form:
    """The form of a JSON value of a schema. See `Form`."""
    return Form(tokenizer, f"start: %json {schema_source(schema, field)}", field)


def schema_source(schema: object, field: str) -> str:
    """A schema as what follows `%json` in a grammar.

    Raises:
        ApiError: 400: It is no schema, too large, or nested too deeply.
    """
    return json.dumps({**checked_schema(schema, field), "x-guidance": JSON_FORM})


def checked_schema(schema: object, field: str) -> Mapping[str, Any]:
    """A schema within bounds of size and depth.

    Raises:
        ApiError: 400.
    """
    if not isinstance(schema, Mapping):
        raise ApiError(400, f"{field}: must be a JSON object", param=field, code="invalid_schema")
    if _depth(schema) > MAX_DEPTH:
        raise ApiError(400, f"{field}: nested deeper than {MAX_DEPTH}", param=field, code="invalid_schema")
    written = json.dumps(schema)
    if len(written) > MAX_SCHEMA_BYTES:
        size = f"{len(written):,} bytes; at most {MAX_SCHEMA_BYTES:,} are allowed"
        raise ApiError(400, f"{field}: {size}", param=field, code="invalid_schema")
    return schema


def reason(matcher: LLMatcher) -> str:
    """Why the library gave up, in one line."""
    text = matcher.get_error().replace("<non-verbose/>", "").split("\n")[0].strip()
    if text.startswith("NoExtension"):
        return "no finite JSON fits this schema"
    return text[:300] or "the library rejects it"


def _depth(value: Any) -> int:
    """Levels of objects and lists, counted without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        inner = [one.values() if isinstance(one, Mapping) else one for one in level if isinstance(one, Mapping | list)]
        level = [part for parts in inner for part in parts]
    return depth


def _vocabulary(tokenizer: Tokenizer) -> LLTokenizer:
    """The library's view of a tokenizer: made once, in about 0.3 s for 50,000 tokens."""
    if tokenizer not in _vocabularies:
        from llguidance import LLTokenizer, TokenizerWrapper

        _vocabularies[tokenizer] = LLTokenizer(TokenizerWrapper(_Bytes(tokenizer)), eos_token=_ends(tokenizer))
    return _vocabularies[tokenizer]


def _ends(tokenizer: Tokenizer) -> list[int]:
    return sorted(end_token_ids(tokenizer))


class _Bytes:
    """What the library asks of a tokenizer. It keeps no reference to it: the library's own would never be freed."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = weakref.ref(tokenizer)
        self.eos_token_id = _ends(tokenizer)[0]
        self.special_token_ids = sorted(tokenizer.special.values())
        self.tokens = [_bytes_of(tokenizer, number) for number in range(tokenizer.vocab_size)]

    def __call__(self, text: bytes | str) -> list[int]:
        tokenizer = self._tokenizer()
        if tokenizer is None:
            return []
        return [int(token) for token in tokenizer.encode(text if isinstance(text, str) else text.decode())]


def _bytes_of(tokenizer: Tokenizer, number: int) -> bytes:
    try:
        return tokenizer.token_bytes(number)
    except ValueError:
        return b""
