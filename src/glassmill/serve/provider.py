"""Where the model that a request wants comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from glassmill.errors import ApiError, UserError

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

Provider = Callable[[], "Model | None"]
"""Returns the model to serve, or `None` while there is none. Called in a worker thread on every request."""


async def current_model(provider: Provider, name: str | None = None) -> Model:
    """The model, if there is one and `name` is its name or omitted.

    Raises:
        ApiError: 503 without a model, 404 for another name.
    """
    try:
        model = await run_in_threadpool(provider)
    except UserError as error:
        raise ApiError(503, str(error), code="model_not_loaded") from None
    if model is None:
        raise ApiError(503, "the model is still being trained", code="model_not_ready", headers={"Retry-After": "10"})
    if name not in (None, model.name):
        message = f"unknown model {name!r}; available: {model.name!r}"
        raise ApiError(404, message, param="model", code="model_not_found")
    return model
