"""The OpenAI-compatible API over one model.

    POST /v1/chat/completions   POST /v1/completions   GET /v1/models   GET /v1/models/{id}
    GET /health   GET /metrics   and those of `tokens.py`

The model comes from a `provider`, which is called on every request. While it has none, the response is 503 in OpenAI's
form. Nothing here imports torch; the provider does, once there is something to load.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from glassmill.errors import ApiError, ContextOverflow, UserError
from glassmill.infer.sampling import SamplingParams
from glassmill.serve.bodies import apart, read
from glassmill.serve.drain import Drain
from glassmill.serve.errors import add_error_handlers, from_engine, json_response, to_json
from glassmill.serve.guard import LOOPBACK, Guard, Limits
from glassmill.serve.messages import to_internal
from glassmill.serve.provider import Provider, current_model
from glassmill.serve.replies import ChatShape, CompletionShape, Envelope, usage_of
from glassmill.serve.schema import ChatRequest, CompletionRequest
from glassmill.serve.shapes import Chunk, ContextUse, ModelCard, Usage
from glassmill.serve.tokens import add_tokens
from glassmill.serve.work import Work
from glassmill.tokens.specials import TOOL_CALL

if TYPE_CHECKING:
    from glassmill.infer.generate import Model


def create_api(
    provider: Provider,
    api_key: str | None = None,
    allowed_hosts: frozenset[str] | None = LOOPBACK,
    public_paths: frozenset[str] = frozenset({"/health"}),
    limits: Limits | None = None,
    allowed_origins: frozenset[str] = frozenset(),
) -> FastAPI:
    """The application. Routes may be added to it; the guard covers them too.

    Args:
        provider: See `Provider`.
        api_key: What clients must send; `None`: no key.
        allowed_hosts: Host names that requests may use; `None`: any.
        public_paths: Paths that need no key; one that ends in "/" covers everything below it.
        limits: Limits on request bodies.
        allowed_origins: Web pages of other servers that may use this one.
    """
    app = FastAPI(title="glassmill", docs_url=None, redoc_url=None)
    app.state.drain = Drain()
    app.add_middleware(
        Guard,
        api_key=api_key,
        allowed_hosts=allowed_hosts,
        allowed_origins=allowed_origins,
        public_paths=public_paths,
        limits=limits or Limits(),
        drain=app.state.drain,
    )
    add_error_handlers(app)
    _add_generation(app, provider)
    _add_information(app, provider)
    add_tokens(app, provider)
    return app


# --- generation -------------------------------------------------------------------------------------------------------


def _add_generation(app: FastAPI, provider: Provider) -> None:
    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        body = await read(request, ChatRequest)
        params = body.sampling()
        model = await current_model(provider, body.model)
        prompt, context = await apart(request, _chat_prompt, model, body)
        if not params.tools:
            params = _without_calls(model, params)
        work = await Work.submit(model.engine, [prompt], params, body.n or 1, "messages")
        envelope = Envelope("chat.completion", model.name, context)
        shape = ChatShape(model.tokenizer, bool(body.logprobs), bool(body.return_token_ids))
        if body.stream:
            return _event_stream(_chat_events(work, request, body, envelope, shape))
        async with work.watched(request):
            async for _ in work.deltas():
                pass
        choices = [shape.whole(index, completion.reply()) for index, completion in enumerate(work.completions)]
        return json_response(envelope.whole(choices, _usage(work, body.n)))

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        body = await read(request, CompletionRequest)
        params = body.sampling()
        model = await current_model(provider, body.model)
        prompts = await apart(request, _prompt_ids, model, body)
        work = await Work.submit(model.engine, prompts, params, body.n or 1, "prompt")
        envelope = Envelope("text_completion", model.name)
        shapes = [_shape(model, completion.prompt, body) for completion in work.completions]
        if body.stream:
            return _event_stream(_completion_events(work, request, body, envelope, shapes))
        async with work.watched(request):
            async for _ in work.deltas():
                pass

        def whole() -> Response:
            replies = [completion.reply() for completion in work.completions]
            choices = [shape.whole(i, reply) for i, (shape, reply) in enumerate(zip(shapes, replies, strict=True))]
            return json_response(envelope.whole(choices, _usage(work, body.n)))

        return await run_in_threadpool(whole)


async def _chat_events(
    work: Work, request: Request, body: ChatRequest, envelope: Envelope, shape: ChatShape
) -> AsyncIterator[bytes]:
    lengths = [0] * len(work.completions)
    async with work.watched(request):
        for index in range(len(work.completions)):
            yield _event(envelope.opening(shape.opening(index), body.include_usage))
        try:
            async for index, delta in work.deltas():
                choice = shape.delta(index, delta, lengths[index])
                lengths[index] += len(delta.text)
                yield _event(envelope.chunk([choice], None, body.include_usage))
        except ApiError as error:
            yield _event(error.body)
            return
        if body.include_usage:
            yield _event(envelope.chunk([], _usage(work, body.n), True))
        yield b"data: [DONE]\n\n"


async def _completion_events(
    work: Work, request: Request, body: CompletionRequest, envelope: Envelope, shapes: list[CompletionShape]
) -> AsyncIterator[bytes]:
    echo_next = set(range(len(shapes))) if body.echo else set()
    async with work.watched(request):
        try:
            async for index, delta in work.deltas():
                if index in echo_next:  # with the first delta: by then the prompt has been scored
                    echo_next.remove(index)
                    echoed = shapes[index].echoed(index, work.completions[index].prompt_logprobs)
                    yield _event(envelope.chunk([echoed], None, body.include_usage))
                yield _event(envelope.chunk([shapes[index].delta(index, delta)], None, body.include_usage))
        except ApiError as error:
            yield _event(error.body)
            return
        if body.include_usage:
            yield _event(envelope.chunk([], _usage(work, body.n), True))
        yield b"data: [DONE]\n\n"


def _chat_prompt(model: Model, body: ChatRequest) -> tuple[list[int], ContextUse | None]:
    """The prompt, and what of the conversation is in it, if the client lets the server leave turns out."""
    messages = to_internal(body.messages)
    try:
        if body.truncation != "auto":
            return model.chat_ids(messages, body.continues, body.template_options()), None
        fitted = model.fit(messages, body.longest_answer, body.continues, body.template_options())
    except (UserError, ContextOverflow) as error:
        raise from_engine(error, "messages") from None
    use: ContextUse = {
        "length": model.engine.max_length,
        "prompt_tokens": len(fitted.ids),
        "turns_left": fitted.turns_left,
        "messages_left": fitted.messages_left,
    }
    return fitted.ids, use


def _without_calls(model: Model, params: SamplingParams) -> SamplingParams:
    """The same, but the model can't begin to use the calculator."""
    call = model.tokenizer.special.get(TOOL_CALL)
    return params if call is None else replace(params, logit_bias={**params.logit_bias, call: -100.0})


def _prompt_ids(model: Model, body: CompletionRequest) -> list[list[int]]:
    prompts = body.prompts()
    return [(model.prompt_ids(prompt) if isinstance(prompt, str) else prompt) for prompt in prompts]


def _shape(model: Model, prompt: tuple[int, ...], body: CompletionRequest) -> CompletionShape:
    with_logprobs = body.logprobs is not None
    return CompletionShape(model.tokenizer, prompt, bool(body.echo), with_logprobs, bool(body.return_token_ids))


def _usage(work: Work, n: int | None) -> Usage:
    prompt = sum(len(completion.prompt) for completion in work.completions[:: n or 1])
    return usage_of(prompt, sum(completion.num_tokens for completion in work.completions))


def _event(value: Chunk | Mapping[str, object]) -> bytes:
    return b"data: " + to_json(value) + b"\n\n"


def _event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


# --- information ------------------------------------------------------------------------------------------------------


def _add_information(app: FastAPI, provider: Provider) -> None:
    started = int(time.time())

    def card(model: Model) -> ModelCard:
        return {
            "id": model.name,
            "object": "model",
            "created": started,
            "owned_by": "glassmill",
            "max_model_len": model.engine.max_length,
        }

    @app.get("/v1/models")
    async def models() -> Response:
        try:
            cards = [card(await current_model(provider))]
        except ApiError:
            cards = []
        return json_response({"object": "list", "data": cards})

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Response:
        return json_response(card(await current_model(provider, name)))

    @app.get("/health")
    async def health() -> Response:
        await current_model(provider)
        return json_response({"status": "ok"})

    @app.get("/metrics")
    async def metrics() -> Response:
        model = await current_model(provider)
        lines = [f"glassmill_{name} {value}" for name, value in asdict(model.engine.stats()).items()]
        return PlainTextResponse("\n".join(lines) + "\n")
