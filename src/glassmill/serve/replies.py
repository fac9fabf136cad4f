"""Replies in the form that OpenAI's clients read, whole or as the chunks of a stream. Their fields: `shapes.py`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

from glassmill.infer.completion import Reply
from glassmill.infer.compose import Delta, TokenRecord, Vocabulary, piece_of
from glassmill.infer.sampling import TokenLogprobs
from glassmill.serve.call_parts import Arguments, CallBegins, Part, whole_calls
from glassmill.serve.calls import CallReader
from glassmill.serve.messages import tool_use, tool_uses
from glassmill.serve.shapes import (
    ChatChange,
    ChatChoice,
    ChatDelta,
    ChatLogprobs,
    ChatMessage,
    ChatToken,
    Chunk,
    CitationShape,
    ContextUse,
    FunctionChange,
    ScoredToken,
    TextChoice,
    TextLogprobs,
    ToolCallShape,
    Usage,
    Whole,
)

Cite = Callable[[str], list[CitationShape]]
"""The passages that hold an answer."""


class Envelope:
    """What all chunks of one response share.

    Args:
        kind: `"chat.completion"` or `"text_completion"`.
        model: The served model's name.
        context: How the conversation fills the context, if the client wants to know.
    """

    def __init__(self, kind: str, model: str, context: ContextUse | None = None) -> None:
        self.kind, self.model, self.context = kind, model, context
        self.id = ("chatcmpl-" if kind == "chat.completion" else "cmpl-") + uuid.uuid4().hex
        self.created = int(time.time())

    def whole(self, choices: list[ChatChoice] | list[TextChoice], usage: Usage) -> Whole:
        """A response that is not streamed."""
        whole: Whole = {
            "id": self.id,
            "object": self.kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage,
        }
        if self.context is not None:
            whole["context"] = self.context
        return whole

    def opening(self, choice: ChatDelta, with_usage: bool) -> Chunk:
        """The first chunk of a choice, with what is known before any token."""
        chunk = self.chunk([choice], None, with_usage)
        if self.context is not None:
            chunk["context"] = self.context
        return chunk

    def chunk(self, choices: list[ChatDelta] | list[TextChoice], usage: Usage | None, with_usage: bool) -> Chunk:
        """A chunk of a stream; the last one has no choices, only the usage."""
        chunk: Chunk = {
            "id": self.id,
            "object": "chat.completion.chunk" if self.kind == "chat.completion" else self.kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }
        if with_usage:
            chunk["usage"] = usage
        return chunk


# --- chat -------------------------------------------------------------------------------------------------------------


class ChatShape:
    """Choices of chat completions.

    Args:
        tokenizer: The model's.
        with_logprobs, with_ids: What else the request asked for.
        readers: Where the model may call the client's tools: one for each choice.
        cite: Where it answers from documents: the passages that hold an answer.
    """

    def __init__(
        self,
        tokenizer: Vocabulary,
        with_logprobs: bool,
        with_ids: bool,
        readers: Sequence[CallReader] | None = None,
        cite: Cite | None = None,
    ) -> None:
        self.tokenizer, self.with_logprobs, self.with_ids = tokenizer, with_logprobs, with_ids
        self.readers, self.cite = readers, cite
        self._said: dict[int, str] = {}

    def whole(self, index: int, reply: Reply) -> ChatChoice:
        """One choice that is not streamed."""
        message: ChatMessage = {"role": "assistant", "content": reply.text, "refusal": None}
        finish_reason: str = reply.finish_reason
        if self.readers is not None:
            reader = self.readers[index]
            content, calls = whole_calls([*reader.push(reply.text), *reader.finish()])
            message["content"] = content if content or not calls else None
            if calls:
                message["tool_calls"] = [_call(begun, arguments) for begun, arguments in calls]
            finish_reason = _reason(finish_reason, reader) or finish_reason
        if self.cite is not None:
            message["citations"] = self.cite(reply.text)
        if reply.tools:
            message["tool_uses"] = tool_uses(reply.parts)
        logprobs = self._logprobs(reply.tokens) if self.with_logprobs else None
        choice: ChatChoice = {"index": index, "message": message, "finish_reason": finish_reason, "logprobs": logprobs}
        if self.with_ids:
            choice["token_ids"] = _ids(reply.tokens)
        return choice

    def opening(self, index: int) -> ChatDelta:
        """The first chunk of a choice, with the role."""
        change: ChatChange = {"role": "assistant", "content": ""}
        return {"index": index, "delta": change, "finish_reason": None, "logprobs": None}

    def deltas(self, index: int, delta: Delta, at: int) -> list[ChatDelta]:
        """Choices for the next chunks, at least one; `at` characters of text came before it."""
        if self.readers is None:
            return [self._delta(index, delta, self._cited(index, delta, _said(delta, at)), delta.finish_reason)]
        reader = self.readers[index]
        parts = reader.push(delta.text) + (reader.finish() if delta.finish_reason is not None else [])
        *first, last = [_change(part) for part in parts] or [ChatChange()]
        before: list[ChatDelta] = [
            {"index": index, "delta": change, "finish_reason": None, "logprobs": None} for change in first
        ]
        return [*before, self._delta(index, delta, last, _reason(delta.finish_reason, reader))]

    def _cited(self, index: int, delta: Delta, change: ChatChange) -> ChatChange:
        """The change, with what holds the whole answer if it ends here."""
        if self.cite is not None:
            self._said[index] = self._said.get(index, "") + delta.text
            if delta.finish_reason is not None:
                change["citations"] = self.cite(self._said[index])
        return change

    def _delta(self, index: int, delta: Delta, change: ChatChange, finish_reason: str | None) -> ChatDelta:
        logprobs = self._logprobs(delta.tokens) if self.with_logprobs and delta.tokens else None
        choice: ChatDelta = {"index": index, "delta": change, "finish_reason": finish_reason, "logprobs": logprobs}
        if self.with_ids:
            choice["token_ids"] = _ids(delta.tokens)
        return choice

    def _logprobs(self, tokens: Sequence[TokenRecord]) -> ChatLogprobs:
        """Log-probabilities of the visible tokens."""
        content: list[ScoredToken] = []
        for record in tokens:
            if record.piece and record.logprobs is not None:
                top = [_chat_token(piece_of(self.tokenizer, token), value) for token, value in record.logprobs.top]
                content.append({**_chat_token(record.piece, record.logprobs.logprob), "top_logprobs": top})
        return {"content": content, "refusal": None}


def _said(delta: Delta, at: int) -> ChatChange:
    change: ChatChange = {}
    if delta.text:
        change["content"] = delta.text
    if delta.tool is not None:
        change["tool_uses"] = [tool_use(delta.tool, at)]
    return change


def _change(part: Part) -> ChatChange:
    """A piece of an answer, of the beginning of a call, or of its arguments, as OpenAI sends it."""
    if isinstance(part, str):
        return {"content": part}
    if isinstance(part, Arguments):
        return {"tool_calls": [{"index": part.index, "function": {"arguments": part.text}}]}
    function: FunctionChange = {"name": part.name, "arguments": ""}
    return {"tool_calls": [{"index": part.index, "id": part.id, "type": "function", "function": function}]}


def _call(begun: CallBegins, arguments: str) -> ToolCallShape:
    return {"id": begun.id, "type": "function", "function": {"name": begun.name, "arguments": arguments}}


def _reason(finish_reason: str | None, reader: CallReader) -> str | None:
    """An answer that ended with calls waits for what they give."""
    return "tool_calls" if finish_reason == "stop" and reader.called else finish_reason


def _chat_token(piece: bytes, logprob: float) -> ChatToken:
    return {"token": piece.decode(errors="replace"), "logprob": finite(logprob), "bytes": list(piece)}


# --- plain completions ------------------------------------------------------------------------------------------------


class CompletionShape:
    """Choices of plain completions: text, and four lists of equal length about its tokens.

    Args:
        tokenizer: The model's.
        prompt: Ids, for `echo`.
        echo: Whether the prompt is part of the text.
        with_logprobs, with_ids: What else the request asked for.
    """

    def __init__(
        self, tokenizer: Vocabulary, prompt: Sequence[int], echo: bool, with_logprobs: bool, with_ids: bool
    ) -> None:
        self.tokenizer, self.prompt, self.echo = tokenizer, prompt, echo
        self.with_logprobs, self.with_ids = with_logprobs, with_ids
        self.offset = 0

    @property
    def prompt_text(self) -> str:
        """The prompt as text, without control tokens."""
        stream = self.tokenizer.stream()
        control = frozenset(self.tokenizer.special.values())
        shown = (token for token in self.prompt if token not in control and piece_of(self.tokenizer, token))
        return "".join(map(stream.push, shown)) + stream.finish()

    def whole(self, index: int, reply: Reply) -> TextChoice:
        """One choice that is not streamed."""
        text = (self.prompt_text if self.echo else "") + reply.text
        pairs = [(record.token, record.logprobs) for record in reply.tokens]
        if self.echo:
            scores = reply.prompt_logprobs or [None] * len(self.prompt)
            pairs = [*zip(self.prompt, scores, strict=True), *pairs]
        return self._choice(index, text, pairs, reply.tokens, reply.finish_reason)

    def delta(self, index: int, delta: Delta) -> TextChoice:
        """One choice of a chunk."""
        pairs = [(record.token, record.logprobs) for record in delta.tokens]
        return self._choice(index, delta.text, pairs, delta.tokens, delta.finish_reason)

    def echoed(self, index: int, scores: Sequence[TokenLogprobs | None]) -> TextChoice:
        """The chunk with the prompt."""
        pairs = list(zip(self.prompt, scores or [None] * len(self.prompt), strict=True))
        return self._choice(index, self.prompt_text, pairs, (), None)

    def _choice(
        self,
        index: int,
        text: str,
        pairs: Sequence[tuple[int, TokenLogprobs | None]],
        tokens: Sequence[TokenRecord],
        finish_reason: str | None,
    ) -> TextChoice:
        logprobs = self._logprobs(pairs) if self.with_logprobs else None
        choice: TextChoice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}
        if self.with_ids:
            choice["token_ids"] = _ids(tokens)
        return choice

    def _logprobs(self, pairs: Sequence[tuple[int, TokenLogprobs | None]]) -> TextLogprobs:
        out: TextLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for token, scores in pairs:
            piece = piece_of(self.tokenizer, token)
            out["tokens"].append(token_key(piece))
            out["text_offset"].append(self.offset)
            out["token_logprobs"].append(None if scores is None else finite(scores.logprob))
            out["top_logprobs"].append(None if scores is None else self._top(token, scores))
            self.offset += len(piece.decode(errors="ignore"))
        return out

    def _top(self, token: int, scores: TokenLogprobs) -> dict[str, float]:
        """The likeliest tokens, and the actual one even if it is not among them."""
        top = {token_key(piece_of(self.tokenizer, other)): finite(value) for other, value in scores.top}
        top.setdefault(token_key(piece_of(self.tokenizer, token)), finite(scores.logprob))
        return top


# --- tokens -----------------------------------------------------------------------------------------------------------


def token_key(piece: bytes) -> str:
    """A token as a unique string: incomplete characters in OpenAI's form `bytes:\\xe2\\x82`."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)


def finite(logprob: float) -> float:
    """JSON has no infinity; OpenAI writes -9999."""
    return max(logprob, -9999.0)


def _ids(tokens: Sequence[TokenRecord]) -> list[int]:
    return [record.token for record in tokens]
