"""Replies in the shapes that OpenAI's clients read: whole ones and the chunks of a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from glassmill.infer.completion import Reply
from glassmill.infer.compose import Delta, TokenRecord, Vocabulary, piece_of
from glassmill.infer.sampling import TokenLogprobs
from glassmill.serve.messages import tool_use, tool_uses


class Envelope:
    """What all chunks of one answer share.

    Args:
        kind: `"chat.completion"` or `"text_completion"`.
        model: The served model's name.
    """

    def __init__(self, kind: str, model: str) -> None:
        self.kind, self.model = kind, model
        self.id = ("chatcmpl-" if kind == "chat.completion" else "cmpl-") + uuid.uuid4().hex
        self.created = int(time.time())

    def whole(self, choices: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
        """An answer that is not streamed."""
        return {**self._head(self.kind), "choices": choices, "usage": usage}

    def chunk(self, choice: dict[str, Any] | None, usage: dict[str, Any] | None, with_usage: bool) -> dict[str, Any]:
        """A piece of a stream; with `choice = None` the last one, which holds the usage."""
        kind = "chat.completion.chunk" if self.kind == "chat.completion" else self.kind
        chunk = {**self._head(kind), "choices": [] if choice is None else [choice]}
        return {**chunk, "usage": usage} if with_usage else chunk

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage_of(num_prompt_tokens: int, num_completion_tokens: int) -> dict[str, Any]:
    """Numbers of tokens; a prompt counts once, however many completions it gets."""
    return {
        "prompt_tokens": num_prompt_tokens,
        "completion_tokens": num_completion_tokens,
        "total_tokens": num_prompt_tokens + num_completion_tokens,
    }


# --- chat -------------------------------------------------------------------------------------------------------------


def chat_choice(index: int, reply: Reply, tokenizer: Vocabulary, with_logprobs: bool, with_ids: bool) -> dict[str, Any]:
    """One choice of a chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tools:
        message["tool_uses"] = tool_uses(reply.parts)
    choice = {"index": index, "message": message, "finish_reason": reply.finish_reason}
    choice["logprobs"] = chat_logprobs(reply.tokens, tokenizer) if with_logprobs else None
    return _with_ids(choice, reply.tokens, with_ids)


def chat_delta(
    index: int, delta: Delta, at: int, tokenizer: Vocabulary, with_logprobs: bool, with_ids: bool
) -> dict[str, Any]:
    """One choice of a chat chunk; `at` characters of content came before it."""
    change: dict[str, Any] = {}
    if delta.text:
        change["content"] = delta.text
    if delta.tool is not None:
        change["tool_uses"] = [tool_use(delta.tool, at)]
    choice = {"index": index, "delta": change, "finish_reason": delta.finish_reason}
    choice["logprobs"] = chat_logprobs(delta.tokens, tokenizer) if with_logprobs and delta.tokens else None
    return _with_ids(choice, delta.tokens, with_ids)


def chat_logprobs(tokens: Sequence[TokenRecord], tokenizer: Vocabulary) -> dict[str, Any]:
    """Log-probabilities of the visible tokens."""
    content = []
    for record in tokens:
        if record.piece and record.logprobs is not None:
            top = [_chat_token(piece_of(tokenizer, token), value) for token, value in record.logprobs.top]
            content.append({**_chat_token(record.piece, record.logprobs.logprob), "top_logprobs": top})
    return {"content": content, "refusal": None}


def _chat_token(piece: bytes, logprob: float) -> dict[str, Any]:
    return {"token": piece.decode(errors="replace"), "logprob": finite(logprob), "bytes": list(piece)}


# --- plain completions ------------------------------------------------------------------------------------------------


class CompletionShape:
    """Choices of plain completions: text, and for the tokens four lists of equal length.

    Args:
        tokenizer: The model's.
        prompt: Ids, for `echo`.
        echo: Whether the prompt is part of the text.
        with_logprobs, with_ids: What else was asked for.
    """

    def __init__(
        self, tokenizer: Vocabulary, prompt: Sequence[int], echo: bool, with_logprobs: bool, with_ids: bool
    ) -> None:
        self.tokenizer, self.prompt, self.echo = tokenizer, prompt, echo
        self.with_logprobs, self.with_ids = with_logprobs, with_ids
        self.offset = 0

    @property
    def prompt_text(self) -> str:
        """The prompt as text."""
        return b"".join(piece_of(self.tokenizer, token) for token in self.prompt).decode(errors="replace")

    def whole(self, index: int, reply: Reply) -> dict[str, Any]:
        """One choice that is not streamed."""
        text = (self.prompt_text if self.echo else "") + reply.text
        pairs = [(record.token, record.logprobs) for record in reply.tokens]
        if self.echo:
            scores = reply.prompt_logprobs or [None] * len(self.prompt)
            pairs = [*zip(self.prompt, scores, strict=True), *pairs]
        return self._choice(index, text, pairs, reply.tokens, reply.finish_reason)

    def delta(self, index: int, delta: Delta) -> dict[str, Any]:
        """One choice of a chunk."""
        pairs = [(record.token, record.logprobs) for record in delta.tokens]
        return self._choice(index, delta.text, pairs, delta.tokens, delta.finish_reason)

    def echoed(self, index: int, scores: Sequence[TokenLogprobs | None]) -> dict[str, Any]:
        """The chunk that brings the prompt."""
        pairs = list(zip(self.prompt, scores or [None] * len(self.prompt), strict=True))
        return self._choice(index, self.prompt_text, pairs, (), None)

    def _choice(
        self,
        index: int,
        text: str,
        pairs: Sequence[tuple[int, TokenLogprobs | None]],
        tokens: Sequence[TokenRecord],
        finish_reason: str | None,
    ) -> dict[str, Any]:
        logprobs = self._logprobs(pairs) if self.with_logprobs else None
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}
        return _with_ids(choice, tokens, self.with_ids)

    def _logprobs(self, pairs: Sequence[tuple[int, TokenLogprobs | None]]) -> dict[str, Any]:
        out: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for token, scores in pairs:
            piece = piece_of(self.tokenizer, token)
            out["tokens"].append(token_key(piece))
            out["text_offset"].append(self.offset)
            out["token_logprobs"].append(None if scores is None else finite(scores.logprob))
            out["top_logprobs"].append(None if scores is None else self._top(token, scores))
            self.offset += len(piece.decode(errors="ignore"))
        return out

    def _top(self, token: int, scores: TokenLogprobs) -> dict[str, float]:
        """The likeliest tokens, and the one that stands there even if it is not among them."""
        top = {token_key(piece_of(self.tokenizer, other)): finite(value) for other, value in scores.top}
        top.setdefault(token_key(piece_of(self.tokenizer, token)), finite(scores.logprob))
        return top


# --- tokens -----------------------------------------------------------------------------------------------------------


def token_key(piece: bytes) -> str:
    """A token as a string that no other token shares: parts of characters in OpenAI's form `bytes:\\xe2\\x82`."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)


def finite(logprob: float) -> float:
    """JSON knows no infinity; OpenAI writes -9999."""
    return max(logprob, -9999.0)


def _with_ids(choice: dict[str, Any], tokens: Sequence[TokenRecord], with_ids: bool) -> dict[str, Any]:
    return {**choice, "token_ids": [record.token for record in tokens]} if with_ids else choice
