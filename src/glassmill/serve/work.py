"""From a request to running completions and back to the event loop: submit, follow, cancel.

The engine's thread hands deltas over with `call_soon_threadsafe`. Whoever asked is watched: a client that hangs up,
streaming or not, stops its completions after the step in progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from glassmill.infer.completion import Completion
from glassmill.infer.compose import Delta
from glassmill.infer.sampling import SamplingParams
from glassmill.serve.errors import from_engine

if TYPE_CHECKING:
    from glassmill.infer.engine import Engine


class Work:
    """The completions of one request.

    Attributes:
        completions: Prompt by prompt, the n choices of a prompt side by side.
    """

    def __init__(self, completions: list[Completion], queue: asyncio.Queue[tuple[int, Delta]]) -> None:
        self.completions, self._queue = completions, queue

    @classmethod
    async def submit(
        cls, engine: Engine, prompts: Sequence[Sequence[int]], params: SamplingParams, n: int, prompt_field: str
    ) -> Work:
        """Queue `n` completions of every prompt.

        Raises:
            ApiError: What the engine refuses.
        """
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[int, Delta]] = asyncio.Queue()

        def deliver(index: int, delta: Delta) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, (index, delta))

        jobs = [(prompt, choice_params(params, choice)) for prompt in prompts for choice in range(n)]
        try:
            completions = await run_in_threadpool(
                engine.submit_all,
                [prompt for prompt, _ in jobs],
                [own for _, own in jobs],
                [partial(deliver, index) for index in range(len(jobs))],
            )
        except Exception as error:
            raise from_engine(error, prompt_field) from error
        return cls(completions, queue)

    async def deltas(self) -> AsyncIterator[tuple[int, Delta]]:
        """Number of the completion and what became known of it, until all have ended.

        Raises:
            ApiError: A completion failed.
        """
        running = len(self.completions)
        while running:
            index, delta = await self._queue.get()
            if delta.finish_reason == "error":
                raise from_engine(self.completions[index].error or RuntimeError())
            running -= delta.finish_reason is not None
            yield index, delta

    @contextlib.asynccontextmanager
    async def watched(self, request: Request) -> AsyncIterator[None]:
        """Cancels everything when the client hangs up, or when the block is left for any reason."""
        watcher = asyncio.create_task(self._cancel_on_disconnect(request))
        try:
            yield
        finally:
            watcher.cancel()
            self.cancel()

    async def _cancel_on_disconnect(self, request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.cancel()

    def cancel(self) -> None:
        """Stop what still runs."""
        for completion in self.completions:
            completion.cancel()


def choice_params(params: SamplingParams, choice: int) -> SamplingParams:
    """The parameters of one of n choices: under a seed, choice 0 is what n = 1 gives, the others count on from it."""
    if params.seed is None or choice == 0:
        return params
    return dataclasses.replace(params, seed=(params.seed + choice) % 2**63)
