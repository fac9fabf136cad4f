"""The studio's server: the OpenAI-compatible API, the routes over the runs folder, and the page at `/`.

The page is served before anything heavy is imported. It may load our own files only (see `HEADERS`): even if text of a
web page or of a model got into it as markup, no script would run and no other server would be contacted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glassmill.infer.grounding import Documents
from glassmill.run.states import FINISHED
from glassmill.serve.api import create_api
from glassmill.serve.drain import Server
from glassmill.serve.errors import json_response
from glassmill.serve.guard import LOOPBACK
from glassmill.serve.models import Models, named_sources
from glassmill.serve.server import address_of, allowed_hosts, allowed_origins, bind, make_server
from glassmill.stages import STAGES
from glassmill.studio.grown import grown_routes
from glassmill.studio.models import ModelKeeper
from glassmill.studio.routes import run_routes, tokenizer_routes
from glassmill.studio.runs import listing_routes
from glassmill.studio.tracing import trace_routes
from glassmill.studio.watch import Watcher
from glassmill.studio.windows import window_routes

STATIC = Path(__file__).parent / "static"
PUBLIC_PATHS = frozenset({"/health", "/", "/static/"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def create_app(
    runs: Path | None,
    model: Path | None = None,
    api_key: str | None = None,
    hosts: frozenset[str] | None = LOOPBACK,
    origins: frozenset[str] = frozenset(),
    models: Models | None = None,
    documents: Documents | None = None,
) -> FastAPI:
    """The application.

    Args:
        runs: The runs folder, which may be empty or missing; None shows no line, only tokenizer and chat.
        model: The model folder to talk to, shown with the line that produced it, if `runs` has that line. None shows
            all lines; the model is then the last one of the line on the page, as soon as it exists.
        api_key: What clients must send for everything but the page's own files; None: nothing.
        hosts: Host names that requests may use; None: any.
        origins: Web pages of other servers that may use the API.
        models: All models of the API, that on the page first; by default that one alone.
        documents: What chats are answered from.
    """
    watcher = Watcher(runs) if runs is not None else None
    line = watcher.line_of_model(model) if watcher is not None and model is not None else None
    if model is not None and line is None:
        watcher = None  # the runs have nothing to do with this model
    if models is None and model is not None:
        models = Models(named_sources([str(model)], (), Path))
    keeper = ModelKeeper(watcher, models)
    app = create_api(models or keeper, api_key, hosts, PUBLIC_PATHS, allowed_origins=origins, documents=documents)
    app.add_middleware(SafeHeaders)
    app.state.keeper = keeper

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(STATIC / "index.html")

    @app.get("/api/studio")
    def about() -> Response:
        shown = {"runs": watcher is not None, "line": line, "model": model is not None}
        return json_response({**shown, "key_needed": api_key is not None})

    @app.get("/api/stages")
    def stages() -> Response:
        return json_response({"stages": [stage.words() for stage in STAGES], "finished": sorted(FINISHED)})

    @app.get("/api/chat")
    def chat(line: str = "") -> Response:
        return json_response(keeper.status(line))

    if watcher is not None:
        app.include_router(listing_routes(watcher))
        app.include_router(run_routes(watcher))
        app.include_router(trace_routes(watcher))
        app.include_router(window_routes(watcher))
        app.include_router(grown_routes(watcher))
    app.include_router(tokenizer_routes(watcher, model))
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def serve_studio(
    runs: Path | None,
    model: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    api_key: str | None = None,
    on_ready: Callable[[str], None] = lambda url: None,
    allow_hosts: Sequence[str] = (),
    allow_origins: Sequence[str] = (),
    models: Models | None = None,
    documents: Documents | None = None,
) -> None:
    """Serves the studio until interrupted and calls `on_ready` with its URL once the socket listens; see `create_app`.

    Raises:
        UserError: others could reach the address without a key, the port is in use or not allowed, or a key, host or
            origin is impossible.
    """
    hosts, origins = allowed_hosts(host, allow_hosts), allowed_origins(allow_origins, api_key)
    listener = bind(host, port, api_key)
    app = create_app(runs, model, api_key, hosts, origins, models, documents)
    if models is not None:
        models.warm()
    on_ready(address_of(listener))
    try:
        studio_server(app).run(sockets=[listener])
    finally:
        listener.close()
        app.state.keeper.close()


def studio_server(app: FastAPI) -> Server:
    """A server for `create_app`'s application that ends its event streams when it stops."""
    server = make_server(app)
    app.state.stopping = lambda: server.should_exit or server.drain.begun
    return server


class SafeHeaders:
    """Adds `HEADERS` to every response that does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)
