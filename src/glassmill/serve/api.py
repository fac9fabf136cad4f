"""The OpenAI-compatible API over one model, or several by name.

    POST /v1/chat/completions   POST /v1/completions   POST /v1/responses   POST /v1/embeddings
    GET /v1/models   GET /v1/models/{id}
    GET /health   GET /metrics   and those of `tokens.py` and `research.py`

The model comes from a `provider`, which is called on every request. While it has none, the response is 503 in OpenAI's
form. Nothing here imports torch; where a decoder needs it, the provider does when it loads a model.
"""

from __future__ import annotations

import time

from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response

from glassmill.errors import ApiError
from glassmill.infer.grounding import Documents
from glassmill.serve.chat import add_chat
from glassmill.serve.completions import add_completions
from glassmill.serve.drain import Drain
from glassmill.serve.embeddings import add_embeddings
from glassmill.serve.errors import add_error_handlers, json_response
from glassmill.serve.guard import LOOPBACK, Guard, Limits
from glassmill.serve.measures import Measures
from glassmill.serve.models import Leases, Models
from glassmill.serve.provider import Provider, current_model, loaded_models
from glassmill.serve.research import add_research
from glassmill.serve.responses import add_responses
from glassmill.serve.shapes import ModelCard
from glassmill.serve.tokens import add_tokens


def create_api(
    provider: Provider,
    api_key: str | None = None,
    allowed_hosts: frozenset[str] | None = LOOPBACK,
    public_paths: frozenset[str] = frozenset({"/health"}),
    limits: Limits | None = None,
    allowed_origins: frozenset[str] = frozenset(),
    documents: Documents | None = None,
) -> FastAPI:
    """The application. Routes may be added to it; the guard covers them too.

    Args:
        provider: See `Provider`.
        api_key: What clients must send; `None`: no key.
        allowed_hosts: Host names that requests may use; `None`: any.
        public_paths: Paths that need no key; one that ends in "/" covers everything below it.
        limits: Limits on request bodies.
        allowed_origins: Web pages of other servers that may use this one.
        documents: What chats are answered from, unless a request says `"retrieval": false`.
    """
    app = FastAPI(title="glassmill", docs_url=None, redoc_url=None)
    app.state.drain = Drain()
    app.state.measures = Measures()
    app.add_middleware(
        Guard,
        api_key=api_key,
        allowed_hosts=allowed_hosts,
        allowed_origins=allowed_origins,
        public_paths=public_paths,
        limits=limits or Limits(),
        drain=app.state.drain,
    )
    app.add_middleware(Leases)
    add_error_handlers(app)
    add_chat(app, provider, documents)
    add_completions(app, provider)
    _add_information(app, provider)
    add_responses(app, provider, documents)
    add_embeddings(app, provider)
    add_research(app, provider)
    add_tokens(app, provider)
    return app


def _add_information(app: FastAPI, provider: Provider) -> None:
    started = int(time.time())

    def card(name: str, length: int) -> ModelCard:
        return {"id": name, "object": "model", "created": started, "owned_by": "glassmill", "max_model_len": length}

    async def cards() -> list[ModelCard]:
        if isinstance(provider, Models):
            return [
                {**card(name, provider.context_length(name)), "parent": source.parent}
                for name, source in provider.sources().items()
            ]
        try:
            model = await current_model(provider)
        except ApiError:
            return []
        return [card(model.name, model.engine.max_length)]

    @app.get("/v1/models")
    async def models() -> Response:
        return json_response({"object": "list", "data": await cards()})

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Response:
        found = [one for one in await cards() if one["id"] == name]
        return json_response(found[0] if found else card(name, (await current_model(provider, name)).engine.max_length))

    @app.get("/health")
    async def health() -> Response:
        await current_model(provider)
        return json_response({"status": "ok"})

    @app.get("/metrics")
    async def metrics() -> Response:
        lines = app.state.measures.lines(await loaded_models(provider))
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")
