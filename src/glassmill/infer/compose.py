"""From token ids to what a reader sees: text in whole characters, cut at stop strings, tool uses kept apart.

One token in, one `Delta` out (or `None` while text is held back). The deltas always add up to the same text, so
streamed text equals text read at the end:

- the bytes of an incomplete character are held back;
- text that may turn out to be the start of a stop string is held back until that is decided;
- between `<|tool_call|>` and `<|tool_result|>` the model writes an expression; its result and `<|tool_end|>` go into
  `forced`, and the engine feeds them instead of drawing. The reader sees one `ToolUse`, not these tokens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from glassmill.infer.sampling import SamplingParams, TokenLogprobs
from glassmill.infer.tools import calculate
from glassmill.tokens.specials import NAMED, TOOL_CALL, TOOL_END, TOOL_RESULT, USER
from glassmill.tokens.streams import Stream

FinishReason = Literal["stop", "length", "cancelled", "error"]
MAX_EXPRESSION_TOKENS = 64
FAILED_CALL = "error"


class Vocabulary(Protocol):
    """The part of a tokenizer that is needed here."""

    @property
    def special(self) -> Mapping[str, int]: ...

    @property
    def stop_ids(self) -> Iterable[int]: ...

    def encode(self, text: str, /) -> Iterable[int]: ...

    def token_bytes(self, token: int, /) -> bytes: ...

    def stream(self, before: Sequence[int] = ()) -> Stream: ...


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token of a completion.

    Attributes:
        piece: Its bytes in the visible text; empty for control tokens and for those of a tool use.
        logprobs: `None` unless the request asked for them.
        forced: Whether the calculator gave it, and the model had no choice.
    """

    token: int
    piece: bytes
    logprobs: TokenLogprobs | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One use of the calculator: the expression the model wrote and the result it got."""

    expression: str
    result: str


@dataclass(frozen=True, slots=True)
class Delta:
    """What is new since the previous delta. Only the last one has a `finish_reason`."""

    text: str = ""
    tokens: tuple[TokenRecord, ...] = ()
    tool: ToolUse | None = None
    finish_reason: FinishReason | None = None


def end_token_ids(tokenizer: Vocabulary) -> frozenset[int]:
    """Ids that end a completion: the tokenizer's own, and for our vocabularies the one that starts a question."""
    ours = all(name in tokenizer.special for name in NAMED)
    return frozenset({*tokenizer.stop_ids, *([tokenizer.special[USER]] if ours else [])})


def piece_of(tokenizer: Vocabulary, token: int) -> bytes:
    """The bytes of a token, or the name of a special one; empty for an id that only pads the vocabulary."""
    try:
        return tokenizer.token_bytes(token)
    except ValueError:
        return b""


class HeldText:
    """Tokens in; out comes text that is complete and can no longer become part of a stop string."""

    def __init__(self, stops: Collection[str], stream: Stream) -> None:
        self.stops, self.stream = tuple(stops), stream
        self.held = ""
        self.records: deque[tuple[int, int, TokenRecord]] = deque()  # first and last character, the token
        self.released = 0
        self.stopped = False

    def push(self, record: TokenRecord) -> tuple[str, tuple[TokenRecord, ...]]:
        """The text and the tokens that are final once `record` is in."""
        start = self.released + len(self.held)
        self.held += self.stream.push(record.token) if record.piece else ""
        self.records.append((start, self.released + len(self.held), record))
        return self._release(final=False)

    def flush(self) -> tuple[str, tuple[TokenRecord, ...]]:
        """The rest, now that nothing follows; a truncated character becomes U+FFFD."""
        if self.stopped:
            return "", ()
        self.held += self.stream.finish()
        return self._release(final=True)

    def _release(self, final: bool) -> tuple[str, tuple[TokenRecord, ...]]:
        found = [at for at in (self.held.find(stop) for stop in self.stops) if at >= 0]
        if found:
            self.stopped = True
            text, self.held = self.held[: min(found)], ""
        else:
            keep = 0 if final else self._undecided()
            text, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        self.released += len(text)
        return text, self._tokens(final)

    def _undecided(self) -> int:
        """Length of the longest suffix of the held text that is a prefix of a stop string."""
        longest = 0
        for stop in self.stops:
            for length in range(min(len(stop) - 1, len(self.held)), longest, -1):
                if self.held.endswith(stop[:length]):
                    longest = length
                    break
        return longest

    def _tokens(self, final: bool) -> tuple[TokenRecord, ...]:
        out: list[TokenRecord] = []
        while self.records:
            start, end, record = self.records[0]
            if self.stopped and start >= self.released:
                self.records.clear()  # after the stop string
                break
            if end > self.released and not (self.stopped or final):
                break
            out.append(record)
            self.records.popleft()
        return tuple(out)


class Composer:
    """One completion's text as it grows. `before`: ids of the text that it continues, if it does.

    Attributes:
        forced: Ids that must come next, instead of drawn ones.
        finish_reason: Set once the completion is over.
        num_tokens: Tokens taken so far, the end token and the tool's included.
    """

    def __init__(
        self, tokenizer: Vocabulary, params: SamplingParams, max_tokens: int, before: Sequence[int] = ()
    ) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self.text = HeldText(params.stop, tokenizer.stream(before))
        self.ends = frozenset(params.stop_token_ids) | (frozenset() if params.ignore_eos else end_token_ids(tokenizer))
        self.hidden = frozenset(tokenizer.special.values())
        self.shown = params.shown_ids
        names = (TOOL_CALL, TOOL_RESULT, TOOL_END)
        usable = params.tools and all(name in tokenizer.special for name in names)
        self.call, self.result, self.end = (tokenizer.special[name] for name in names) if usable else (-1, -1, -1)
        self.expression: list[int] | None = None
        self.tool: ToolUse | None = None
        self.forced: deque[int] = deque()
        self.finish_reason: FinishReason | None = None
        self.num_tokens = 0

    def push(self, token: int, logprobs: TokenLogprobs | None = None) -> Delta | None:
        """Take one token, drawn or forced."""
        self.num_tokens += 1
        tool, piece, text, forced = None, b"", "", self.tool is not None
        tokens: tuple[TokenRecord, ...] = ()
        if token in self.ends:
            self.finish_reason = "stop"
        elif self.tool is not None:
            if token == self.end:
                tool, self.tool = self.tool, None
        elif self.expression is not None:
            self._in_call(token)
        elif token == self.call:
            self.expression = []
            text, tokens = self.text.flush()
        elif token in self.shown and token in self.hidden:
            text, tokens = self.text.flush()
            text += piece_of(self.tokenizer, token).decode(errors="replace")
        elif token not in self.hidden:
            piece = piece_of(self.tokenizer, token)
        more, certain = self.text.push(TokenRecord(token, piece, logprobs, forced))
        text, tokens = text + more, tokens + certain
        if self.text.stopped:
            self.finish_reason = "stop"
        elif self.finish_reason is None and self.num_tokens >= self.max_tokens:
            self.finish_reason = "length"
        if self.finish_reason is not None:
            more, certain = self.text.flush()
            text, tokens = text + more, tokens + certain
        if not (text or tokens or tool or self.finish_reason):
            return None
        return Delta(text, tokens, tool, self.finish_reason)

    def _in_call(self, token: int) -> None:
        assert self.expression is not None
        if token != self.result and len(self.expression) < MAX_EXPRESSION_TOKENS:
            self.expression.append(token)
            return
        pieces = (piece_of(self.tokenizer, part) for part in self.expression if part not in self.hidden)
        expression = b"".join(pieces).decode("utf-8", errors="replace").strip()
        self.expression = None
        if token != self.result:
            return  # a call that never ended: drop it and go on
        self.tool = ToolUse(expression, _calculated(expression))
        self.forced.extend(int(part) for part in self.tokenizer.encode(self.tool.result))
        self.forced.append(self.end)


def _calculated(expression: str) -> str:
    try:
        return calculate(expression)
    except ValueError:
        return FAILED_CALL
