"""The JSON that the API answers with, field by field, as OpenAI's clients read it.

Fields of our own: `tool_uses` (see `glassmill.serve.messages`), `token_ids` (if the request asks for them), `context`
(if it lets the server leave turns out), `citations` (where it answers from documents), and `max_model_len` (as vLLM has
it).
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Usage(TypedDict):
    """Numbers of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ContextUse(TypedDict):
    """How a conversation fills the context, `length` tokens; what left it are its oldest turns, and their messages."""

    length: int
    prompt_tokens: int
    turns_left: int
    messages_left: int


class ModelCard(TypedDict):
    """An entry of `GET /v1/models`; `parent` is the base of an adapter."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int
    parent: NotRequired[str | None]


class ToolUseShape(TypedDict):
    """A use of the calculator, `at` characters into the content."""

    name: Literal["calculator"]
    arguments: str
    result: str
    at: int


class CitationShape(TypedDict):
    """A passage of the documents that holds the answer: `start` and `end` are characters of the document's text in the
    corpus, `support` is how much of the answer stands in it, from 0 to 1."""

    document: str
    section: str
    start: int
    end: int
    text: str
    score: float
    support: float


# --- chat -------------------------------------------------------------------------------------------------------------


class ChatToken(TypedDict):
    """A token and its log-probability."""

    token: str
    logprob: float
    bytes: list[int]


class ScoredToken(ChatToken):
    """A token of the answer, with the likeliest ones at its place."""

    top_logprobs: list[ChatToken]


class ChatLogprobs(TypedDict):
    """Log-probabilities of the visible tokens."""

    content: list[ScoredToken]
    refusal: None


class CalledFunction(TypedDict):
    """What to call, and with what: JSON as text."""

    name: str
    arguments: str


class ToolCallShape(TypedDict):
    """A call of one of the client's tools."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class FunctionChange(TypedDict):
    """What a chunk adds to a call."""

    name: NotRequired[str]
    arguments: str


class ToolCallChange(TypedDict):
    """The beginning of a call, or more of its arguments."""

    index: int
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: FunctionChange


class ChatMessage(TypedDict):
    """The assistant's whole message; no content where there are only calls. `citations`: best first, empty where no
    passage holds the answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_uses: NotRequired[list[ToolUseShape]]
    tool_calls: NotRequired[list[ToolCallShape]]
    citations: NotRequired[list[CitationShape]]


class ChatChange(TypedDict):
    """What a chunk adds to the message; `citations` come with the last one."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str]
    tool_uses: NotRequired[list[ToolUseShape]]
    tool_calls: NotRequired[list[ToolCallChange]]
    citations: NotRequired[list[CitationShape]]


class ChatChoice(TypedDict):
    """One of n answers."""

    index: int
    message: ChatMessage
    finish_reason: str
    logprobs: ChatLogprobs | None
    token_ids: NotRequired[list[int]]


class ChatDelta(TypedDict):
    """A piece of one of n answers."""

    index: int
    delta: ChatChange
    finish_reason: str | None
    logprobs: ChatLogprobs | None
    token_ids: NotRequired[list[int]]


# --- plain completions ------------------------------------------------------------------------------------------------


class TextLogprobs(TypedDict):
    """Four lists with one entry for each token."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(TypedDict):
    """One completion, or a piece of one."""

    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: str | None
    token_ids: NotRequired[list[int]]


# --- around the choices -----------------------------------------------------------------------------------------------


class Whole(TypedDict):
    """An answer that is not streamed."""

    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice] | list[TextChoice]
    usage: Usage
    context: NotRequired[ContextUse]


class Chunk(TypedDict):
    """A piece of a stream. With `stream_options.include_usage` every chunk has `usage`, null but for the last; only
    those that open a choice have `context`."""

    id: str
    object: str
    created: int
    model: str
    choices: list[ChatDelta] | list[TextChoice]
    usage: NotRequired[Usage | None]
    context: NotRequired[ContextUse]
