"""`POST /v1/completions`: continue text or token ids as given, with the prompt's log-probabilities if wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from glassmill.errors import ApiError
from glassmill.serve.bodies import apart, read, takes
from glassmill.serve.errors import json_response
from glassmill.serve.events import DONE, event, event_stream
from glassmill.serve.provider import Provider, current_model
from glassmill.serve.replies import CompletionShape, Envelope
from glassmill.serve.schema import CompletionRequest
from glassmill.serve.work import Work

if TYPE_CHECKING:
    from glassmill.infer.generate import Model


def add_completions(app: FastAPI, provider: Provider) -> None:
    """Add the route."""

    @app.post("/v1/completions", openapi_extra=takes(CompletionRequest))
    async def completions(request: Request) -> Response:
        body = await read(request, CompletionRequest)
        params = body.sampling()
        model = await current_model(provider, body.model, request)
        prompts = await apart(request, _prompt_ids, model, body)
        work = await Work.submit(request, model, prompts, params, body.n or 1, "prompt")
        envelope = Envelope("text_completion", model.name)
        shapes = [_shape(model, completion.prompt, body) for completion in work.completions]
        if body.stream:
            return event_stream(_completion_events(work, request, body, envelope, shapes))
        async with work.watched(request):
            async for _ in work.deltas():
                pass

        def whole() -> Response:
            replies = [completion.reply() for completion in work.completions]
            choices = [shape.whole(i, reply) for i, (shape, reply) in enumerate(zip(shapes, replies, strict=True))]
            return json_response(envelope.whole(choices, work.usage(body.n)))

        return await run_in_threadpool(whole)


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
                    yield event(envelope.chunk([echoed], None, body.include_usage))
                yield event(envelope.chunk([shapes[index].delta(index, delta)], None, body.include_usage))
        except ApiError as error:
            yield event(error.body)
            return
        if body.include_usage:
            yield event(envelope.chunk([], work.usage(body.n), True))
        yield DONE


def _prompt_ids(model: Model, body: CompletionRequest) -> list[list[int]]:
    prompts = body.prompts()
    return [(model.prompt_ids(prompt) if isinstance(prompt, str) else prompt) for prompt in prompts]


def _shape(model: Model, prompt: tuple[int, ...], body: CompletionRequest) -> CompletionShape:
    with_logprobs = body.logprobs is not None
    return CompletionShape(model.tokenizer, prompt, bool(body.echo), with_logprobs, bool(body.return_token_ids))
