"""`POST /v1/chat/completions`: from messages to an answer, with tools and in a given form, streaming or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from glassmill.errors import ApiError, ContextOverflow, UserError
from glassmill.infer.conversation import Message
from glassmill.infer.grounding import NOTHING, Documents, Grounded
from glassmill.infer.sampling import SamplingParams
from glassmill.serve.bodies import apart, read, takes
from glassmill.serve.errors import from_engine, json_response
from glassmill.serve.events import DONE, event, event_stream
from glassmill.serve.grammar import Form, json_form, schema_source
from glassmill.serve.messages import to_internal
from glassmill.serve.provider import Provider, current_model
from glassmill.serve.replies import ChatShape, Cite, Envelope
from glassmill.serve.schema import ChatRequest
from glassmill.serve.shapes import CitationShape, ContextUse
from glassmill.serve.tools import Tools, chosen_tools, has_tools
from glassmill.serve.work import Work
from glassmill.tokens.specials import TOOL_CALL

if TYPE_CHECKING:
    from glassmill.infer.generate import Model


class Plan(NamedTuple):
    """How a request is answered.

    Attributes:
        prompt: Token ids.
        context: What of the conversation is in it, if the client lets the server leave turns out.
        params: How to sample.
        tools: The client's, if the model may call them.
        form: That the answer has to take, if any.
        grounded: What the documents say about the question, if it is answered from them.
    """

    prompt: list[int]
    context: ContextUse | None
    params: SamplingParams
    tools: Tools | None
    form: Form | None
    grounded: Grounded | None = None

    @property
    def cite(self) -> Cite | None:
        """Which passages hold an answer, if it is from documents."""
        return None if self.grounded is None else partial(cited, self.grounded)


def add_chat(app: FastAPI, provider: Provider, documents: Documents | None = None) -> None:
    """Add the route; with `documents`, chats are answered from them."""

    @app.post("/v1/chat/completions", openapi_extra=takes(ChatRequest))
    async def chat_completions(request: Request) -> Response:
        body = await read(request, ChatRequest)
        params = body.sampling()
        model = await current_model(provider, body.model, request)
        plan = await apart(request, make_plan, model, body, params, documents)
        work = await begun(request, model, plan, body.n or 1, "messages")
        envelope = Envelope("chat.completion", model.name, plan.context)
        readers = [plan.tools.reader() for _ in work.completions] if plan.tools else None
        shape = ChatShape(model.tokenizer, bool(body.logprobs), bool(body.return_token_ids), readers, plan.cite)
        if body.stream:
            return event_stream(_events(work, request, body, envelope, shape, plan.form))
        async with work.watched(request):
            async for _ in work.deltas():
                pass
        check_form(plan.form)

        def whole() -> Response:
            choices = [shape.whole(index, completion.reply()) for index, completion in enumerate(work.completions)]
            return json_response(envelope.whole(choices, work.usage(body.n)))

        return await run_in_threadpool(whole)


async def _events(
    work: Work, request: Request, body: ChatRequest, envelope: Envelope, shape: ChatShape, form: Form | None
) -> AsyncIterator[bytes]:
    lengths = [0] * len(work.completions)
    async with work.watched(request):
        for index in range(len(work.completions)):
            yield event(envelope.opening(shape.opening(index), body.include_usage))
        try:
            async for index, delta in work.deltas():
                for choice in shape.deltas(index, delta, lengths[index]):
                    yield event(envelope.chunk([choice], None, body.include_usage))
                lengths[index] += len(delta.text)
            check_form(form)
        except ApiError as error:
            yield event(error.body)
            return
        if body.include_usage:
            yield event(envelope.chunk([], work.usage(body.n), True))
        yield DONE


async def begun(request: Request, model: Model, plan: Plan, n: int, prompt_field: str) -> Work:
    """The answers to a request, begun; where the documents say nothing, that they do not.

    Raises:
        ApiError: The engine rejects the request.
    """
    if plan.grounded is not None and not plan.grounded.hits:
        return Work.said(NOTHING, plan.prompt, plan.params, n)
    return await Work.submit(request, model, [plan.prompt], plan.params, n, prompt_field)


def cited(grounded: Grounded, said: str) -> list[CitationShape]:
    """The passages that hold what was said."""
    return [
        {
            "document": hit.document,
            "section": hit.section,
            "start": hit.start,
            "end": hit.end,
            "text": hit.text,
            "score": hit.score,
            "support": support,
        }
        for hit, support in grounded.citations(said)
    ]


def make_plan(model: Model, body: ChatRequest, params: SamplingParams, documents: Documents | None = None) -> Plan:
    """What to do for a request; takes as long as its body is long.

    Raises:
        ApiError: 400: The model cannot do what it asks for.
    """
    tokenizer = model.tokenizer
    tools = chosen_tools(tokenizer, body.tools, body.tool_choice, body.parallel_tool_calls)
    options = body.template_options() | ({"tools": list(tools.offered)} if tools else {})
    form = _form(model, body, tools)
    messages = to_internal(body.messages, has_tools(tokenizer))
    grounded = _grounded(model, body, messages, documents, bool(form or tools), options)
    prompt, context = _prompt(model, body, grounded.messages if grounded else messages, options)
    params = replace(
        params if params.tools else _without_calculator(model, params),
        grammar=form,
        ignore_eos=params.ignore_eos and form is None,  # what is complete has to end
        shown_ids=tools.shown_ids(tokenizer) if tools else frozenset(),
    )
    if grounded and grounded.grammar:
        params = replace(params, grammar=grounded.grammar, tools=False, ignore_eos=False)
        params = params if body.temperature is not None else replace(params, temperature=0.0)
    return Plan(prompt, context, params, tools, form, grounded)


def _grounded(
    model: Model,
    body: ChatRequest,
    messages: Sequence[Message],
    documents: Documents | None,
    formed: bool,
    options: dict[str, object],
) -> Grounded | None:
    """What the documents say about the last question, if the answer is to be from them."""
    if body.retrieval and documents is None:
        message = "retrieval: this server has no documents; start it with --documents RUN"
        raise ApiError(400, message, param="retrieval", code="unsupported_field")
    if documents is None or body.retrieval is False or body.continues:
        return None
    how = body.retrieval if isinstance(body.retrieval, str) else documents.answering
    if formed and body.retrieval == "quote":
        message = "retrieval: an answer in a given form, or with tools, cannot be a quotation; send free"
        raise ApiError(400, message, param="retrieval", code="invalid_value")
    try:
        return documents.ground(model, messages, body.longest_answer, "free" if formed else how, options)
    except (UserError, ContextOverflow) as error:
        raise from_engine(error, "messages") from None


def _form(model: Model, body: ChatRequest, tools: Tools | None) -> Form | None:
    schema, field = body.schema_of_answer, "response_format"
    if tools is None:
        return None if schema is None else json_form(model.tokenizer, schema, field)
    if tools.must_call:
        return Form(model.tokenizer, f"start: calls\n{tools.rules(model.tokenizer)}", "tools")
    if schema is None:
        return None
    source = f"start: calls | answer\nanswer: %json {schema_source(schema, field)}\n"
    return Form(model.tokenizer, source + tools.rules(model.tokenizer), field)


def check_form(form: Form | None) -> None:
    """Say so if an answer could not be held to its form.

    Raises:
        ApiError: 400: The library gave up on the way.
    """
    if form is not None and form.problem:
        raise ApiError(400, f"{form.field}: {form.problem}", param=form.field, code="invalid_schema")


def _prompt(
    model: Model, body: ChatRequest, messages: Sequence[Message], options: dict[str, object]
) -> tuple[list[int], ContextUse | None]:
    """The prompt, and what of the conversation is in it, if the client lets the server leave turns out."""
    try:
        if body.truncation != "auto":
            return model.chat_ids(messages, body.continues, options), None
        fitted = model.fit(messages, body.longest_answer, body.continues, options)
    except (UserError, ContextOverflow) as error:
        raise from_engine(error, "messages") from None
    use: ContextUse = {
        "length": model.engine.max_length,
        "prompt_tokens": len(fitted.ids),
        "turns_left": fitted.turns_left,
        "messages_left": fitted.messages_left,
    }
    return fitted.ids, use


def _without_calculator(model: Model, params: SamplingParams) -> SamplingParams:
    """The same, but the model can't begin to use the calculator."""
    call = model.tokenizer.special.get(TOOL_CALL)
    return params if call is None else replace(params, logit_bias={**params.logit_bias, call: -100.0})
