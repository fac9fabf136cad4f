"""Where the model that a request wants comes from: one, or several by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from glassmill.errors import ApiError, UserError
from glassmill.serve.models import Models

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

Provider = Callable[[], "Model | None"] | Models
"""Returns the model to serve, or `None` while there is none; called in a worker thread on every request. Or several
models by name."""


async def current_model(provider: Provider, name: str | None = None, request: Request | None = None) -> Model:
    """The model of that name, or the first if it is omitted; held until the answer to `request` is out.

    Raises:
        ApiError: 503 without a model or room for it, 404 for an unknown name.
    """
    try:
        if isinstance(provider, Models):
            return await _taken(provider, name, request)
        model = await run_in_threadpool(provider)
    except UserError as error:
        raise ApiError(503, str(error), code="model_not_loaded") from None
    if model is None:
        raise ApiError(503, "the model is still being trained", code="model_not_ready", headers={"Retry-After": "10"})
    if name not in (None, model.name):
        message = f"unknown model {name!r}; available: {model.name!r}"
        raise ApiError(404, message, param="model", code="model_not_found")
    return model


async def loaded_models(provider: Provider) -> list[Model]:
    """Those in memory. Several by name are not loaded for this; a single one is."""
    if isinstance(provider, Models):
        return provider.loaded()
    return [await current_model(provider)]


async def _taken(models: Models, name: str | None, request: Request | None) -> Model:
    model = await run_in_threadpool(models.take, name)
    give_back = partial(models.give_back, model)
    if request is None:
        give_back()
    else:
        request.scope["glassmill.returns"].append(give_back)
    return model
