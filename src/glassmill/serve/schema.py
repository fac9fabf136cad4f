"""What clients may send, with the bounds of every field.

Fields of OpenAI's API that make no difference here are accepted and ignored. What happens with fields that are not
listed here: `fields.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from glassmill.errors import ApiError
from glassmill.infer.sampling import SamplingParams
from glassmill.serve.errors import from_engine
from glassmill.serve.fields import UNSUPPORTED, refuse_unless_harmless

MAX_MESSAGES = 1000
MAX_PROMPTS = 128
MAX_CHOICES = 16
MAX_STOPS = 16
MAX_TOKENS = 500_000
"""Ids in one request; a body of the largest size has more."""

TokenId = int


class StreamOptions(BaseModel):
    """How to stream."""

    model_config = ConfigDict(extra="allow", strict=True)

    include_usage: bool | None = None


class GenerationRequest(BaseModel):
    """Fields that chat and plain completions share."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = Field(None, description="the served model's name; optional")
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, ge=0, le=1)
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(None, ge=-1, description="-1: as many as the context holds")
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = Field(None, max_length=1024)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None

    top_k: int | None = Field(None, ge=-1, description="-1 or 0: all tokens")
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, ge=0.01, le=10)
    stop_token_ids: list[TokenId] | None = Field(None, max_length=128)
    ignore_eos: bool | None = None
    return_token_ids: bool | None = None
    logprobs_mode: Literal["raw_logprobs", "processed_logprobs"] | None = Field(
        None, description="log-probabilities of the model's own distribution, or of the one that was drawn from"
    )

    metadata: Any = None
    store: Any = None
    service_tier: Any = None

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def params(self, **more: Any) -> SamplingParams:
        """The engine's parameters, with OpenAI's defaults.

        Raises:
            ApiError: A value is out of bounds that the schema cannot express.
        """
        stop = [self.stop] if self.stop and isinstance(self.stop, str) else self.stop or []
        if len(stop) > MAX_STOPS:
            raise ApiError(400, f"stop: {len(stop)} strings, but at most {MAX_STOPS} are allowed", param="stop")
        chosen = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_k": None if self.top_k is None else max(self.top_k, 0),
            "top_p": self.top_p or None,  # 0 keeps only the likeliest token, as 1e-9 does
            "min_p": self.min_p,
            "seed": self.seed,
            "stop": tuple(stop),
            "stop_token_ids": None if self.stop_token_ids is None else tuple(self.stop_token_ids),
            "ignore_eos": self.ignore_eos,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "repetition_penalty": self.repetition_penalty,
            "logit_bias": _logit_bias(self.logit_bias),
            "processed_logprobs": self.logprobs_mode == "processed_logprobs",
            **more,
        }
        if self.top_p == 0:
            chosen["top_p"] = 1e-9
        try:
            return SamplingParams(**{name: value for name, value in chosen.items() if value is not None})
        except ValueError as error:
            raise from_engine(error) from None


class ChatRequest(GenerationRequest):
    """`POST /v1/chat/completions`."""

    messages: list[dict[str, object]] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: int | None = Field(None, ge=-1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: the oldest turns leave a conversation that is too long, and the answer says how many"
    )
    retrieval: bool | Literal["quote", "free"] | None = Field(
        None,
        description="whether, and how, to answer from the server's documents; true: as the server was started to; the "
        "default where it has documents",
    )
    continue_final_message: bool | None = Field(
        None, description="false: a last message from the assistant is not continued, another answer follows it"
    )
    add_generation_prompt: bool | None = None

    tools: list[Any] | None = None
    tool_choice: Any = None
    response_format: Any = None
    functions: Any = None
    function_call: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None
    parallel_tool_calls: Any = None
    reasoning_effort: Any = None
    verbosity: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None
    chat_template_kwargs: dict[str, Any] | None = Field(None, max_length=64, description="variables of its template")
    documents: list[dict[str, Any]] | None = Field(None, max_length=MAX_MESSAGES)

    def template_options(self) -> dict[str, Any]:
        """Variables of the model's chat template."""
        return template_options(self.chat_template_kwargs, self.documents)

    @property
    def schema_of_answer(self) -> Mapping[str, object] | None:
        """The schema that `response_format` names; None: any text.

        Raises:
            ApiError: 400: It is malformed, or of another kind.
        """
        wanted, field = self.response_format, "response_format"
        kind = wanted.get("type") if isinstance(wanted, Mapping) else None
        if wanted is None or kind == "text":
            return None
        if kind == "json_object":
            return {"type": "object"}
        if kind != "json_schema":
            kinds = "must be an object whose type is text, json_object or json_schema"
            raise ApiError(400, f"{field}: {kinds}", param=field, code="invalid_value")
        schema = wanted["json_schema"].get("schema") if isinstance(wanted.get("json_schema"), Mapping) else None
        if not isinstance(schema, Mapping):
            raise ApiError(400, f"{field}.json_schema.schema: must be a schema", param=field, code="invalid_value")
        return schema

    def sampling(self) -> SamplingParams:
        """The engine's parameters; the calculator is on, unless the client wants no tools or brings its own."""
        for name in UNSUPPORTED.keys() & self.model_fields_set:
            refuse_unless_harmless(name, getattr(self, name))
        if self.top_logprobs is not None and not self.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs = true", param="top_logprobs")
        return self.params(
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            max_tokens=self.longest_answer,
            tools=self.tool_choice != "none" and not self.tools and self.schema_of_answer is None,
            continues=self.continues,
        )

    @property
    def longest_answer(self) -> int | None:
        """Tokens that the answer may have; None: as many as the context holds."""
        limits = [limit for limit in (self.max_completion_tokens, self.max_tokens) if limit not in (None, -1)]
        return max(1, min(limits)) if limits else None

    @property
    def continues(self) -> bool:
        """Whether the last message is an answer that has not ended."""
        last = self.messages[-1]
        answered = last.get("role") == "assistant" and not last.get("tool_calls")
        return answered and self.continue_final_message is not False


class CompletionRequest(GenerationRequest):
    """`POST /v1/completions`: continue text or token ids as given."""

    prompt: str | list[str] | list[TokenId] | list[list[TokenId]] | None = None
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=20)
    best_of: int | None = Field(None, ge=1, le=MAX_CHOICES)
    suffix: str | None = None

    def sampling(self) -> SamplingParams:
        """The engine's parameters, with OpenAI's default of 16 tokens."""
        if "messages" in (self.model_extra or {}):
            raise ApiError(400, "messages go to /v1/chat/completions; this endpoint takes a prompt", param="messages")
        if self.suffix:
            raise ApiError(400, "suffix is not supported: the model only continues text", param="suffix")
        if self.best_of not in (None, 1, self.n):
            raise ApiError(400, "best_of is not supported: request n completions and choose one", param="best_of")
        scores_prompt = bool(self.echo and self.logprobs is not None)
        max_tokens = {None: 16, -1: None}.get(self.max_tokens, self.max_tokens)
        return self.params(logprobs=self.logprobs, echo_logprobs=scores_prompt, max_tokens=max_tokens, continues=True)

    def prompts(self) -> list[str | list[TokenId]]:
        """The prompts as a list."""
        if self.prompt is None or isinstance(self.prompt, str):
            return [self.prompt or ""]
        if not self.prompt:
            raise ApiError(400, "prompt: the list is empty", param="prompt")
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        if len(self.prompt) * (self.n or 1) > MAX_PROMPTS:
            raise ApiError(400, f"prompt: more than {MAX_PROMPTS} completions in one request", param="prompt")
        return list(self.prompt)


class TokenizeRequest(BaseModel):
    """`POST /tokenize`, in vLLM's form (`prompt` or `messages`) or llama-server's (`content`)."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    prompt: str | None = None
    content: str | None = None
    messages: list[dict[str, object]] | None = Field(None, max_length=MAX_MESSAGES)
    with_pieces: bool = False
    add_special_tokens: bool | None = None
    add_special: bool = False
    chat_template_kwargs: dict[str, Any] | None = Field(None, max_length=64)
    documents: list[dict[str, Any]] | None = Field(None, max_length=MAX_MESSAGES)

    @property
    def as_prompt(self) -> bool:
        """Whether the ids are those of a whole prompt: vLLM's form says so by default, llama-server's does not."""
        if self.add_special_tokens is not None:
            return self.add_special_tokens
        return self.add_special or self.prompt is not None


class DetokenizeRequest(BaseModel):
    """`POST /detokenize`."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    tokens: list[TokenId] = Field(max_length=MAX_TOKENS)


class TemplateRequest(BaseModel):
    """`POST /apply-template`."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    messages: list[dict[str, object]] = Field(min_length=1, max_length=MAX_MESSAGES)
    chat_template_kwargs: dict[str, Any] | None = Field(None, max_length=64)
    documents: list[dict[str, Any]] | None = Field(None, max_length=MAX_MESSAGES)


def template_options(variables: dict[str, Any] | None, documents: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Variables of a model's chat template."""
    return {**(variables or {}), **({"documents": documents} if documents is not None else {})}


def _logit_bias(given: dict[str, float] | None) -> dict[int, float] | None:
    if given is None:
        return None
    try:
        return {int(token): bias for token, bias in given.items()}
    except ValueError:
        raise ApiError(400, "logit_bias: the keys must be token ids", param="logit_bias") from None
