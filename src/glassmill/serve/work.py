"""From a request to running completions and back to the event loop: submit, follow, cancel.

The engine's thread passes deltas on with `call_soon_threadsafe`. The connection is watched: when a client disconnects,
streaming or not, its completions stop after the current step.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from glassmill.errors import ApiError
from glassmill.infer.completion import Completion
from glassmill.infer.compose import Delta
from glassmill.infer.sampling import SamplingParams
from glassmill.serve.errors import from_engine
from glassmill.serve.shapes import Usage

if TYPE_CHECKING:
    from glassmill.infer.generate import Model
    from glassmill.serve.measures import Measures, Watch


class Bell:
    """Wakes an event loop once for all deltas that come before it answers: a step of the engine makes one for every
    stream, and to wake the loop costs more than a token of a small model."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._rung: deque[asyncio.Event] = deque()
        self._told = False

    def ring(self, come: asyncio.Event) -> None:
        """From the engine's thread: set `come` in the event loop."""
        self._rung.append(come)
        if not self._told and (loop := self._loop()):
            self._told = True
            loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._told = False  # before anything is taken, so that what comes now rings again
        while self._rung:
            self._rung.popleft().set()


_BELLS: WeakKeyDictionary[asyncio.AbstractEventLoop, Bell] = WeakKeyDictionary()


class News:
    """Deltas on their way from the engine's thread to the event loop."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._bell = _BELLS.get(loop) or _BELLS.setdefault(loop, Bell(loop))
        self._come = asyncio.Event()
        self._waiting: deque[tuple[int, Delta, float]] = deque()

    def add(self, index: int, delta: Delta) -> None:
        """From the engine's thread: a delta of a completion, and when it was made."""
        self._waiting.append((index, delta, time.perf_counter()))
        self._bell.ring(self._come)

    def wake(self) -> None:
        """In the event loop: there may be something."""
        self._come.set()

    async def take(self) -> list[tuple[int, Delta, float]]:
        """All that has come, at least one delta, or nothing if `wake` was called for another reason."""
        await self._come.wait()
        self._come.clear()
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


def joined(first: Delta, second: Delta) -> Delta:
    """Two deltas of one completion as one."""
    return Delta(first.text + second.text, first.tokens + second.tokens, None, second.finish_reason)


class Work:
    """The completions of one request.

    Attributes:
        completions: Prompt by prompt, the n choices of a prompt in a row.

    Args:
        completions: The same.
        news: Where their deltas come.
        watches: What measures each; none of what no model says.
    """

    def __init__(self, completions: list[Completion], news: News, watches: list[Watch]) -> None:
        self.completions, self._news, self._watches = completions, news, watches
        self._failed: ApiError | None = None

    @classmethod
    async def submit(
        cls,
        request: Request,
        model: Model,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        n: int,
        prompt_field: str,
    ) -> Work:
        """Queue `n` completions of every prompt, and measure them.

        Raises:
            ApiError: The engine rejects the request.
        """
        measures: Measures = request.app.state.measures
        news = News()
        jobs = [(prompt, choice_params(params, choice)) for prompt in prompts for choice in range(n)]
        watches = [measures.watch(model.name) for _ in jobs]
        try:
            completions = await run_in_threadpool(
                model.engine.submit_all,
                [prompt for prompt, _ in jobs],
                [own for _, own in jobs],
                [partial(news.add, index) for index in range(len(jobs))],
            )
        except Exception as error:
            raise from_engine(error, prompt_field) from error
        return cls(completions, news, watches)

    @classmethod
    def said(cls, text: str, prompt: Sequence[int], params: SamplingParams, n: int) -> Work:
        """`n` completions that have been said without a model."""
        news = News()
        completions = [Completion(tuple(prompt), params, partial(news.add, index)) for index in range(n)]
        for completion in completions:
            completion.publish(Delta(text, finish_reason="stop"))
        return cls(completions, news, [])

    async def deltas(self) -> AsyncIterator[tuple[int, Delta]]:
        """Index of a completion and its next delta, until all have finished.

        Where tokens come faster than events can be written, several are one delta: for a small model, an event costs
        more than a token.

        Raises:
            ApiError: A completion failed, or `fail` was called.
        """
        running = len(self.completions)
        while running:
            come = await self._news.take()
            if self._failed is not None:
                raise self._failed
            together: dict[int, Delta] = {}
            for index, delta, at in come:
                if self._watches:
                    self._watches[index].saw(self.completions[index], delta, at)
                if delta.finish_reason == "error":
                    raise from_engine(self.completions[index].error or RuntimeError())
                running -= delta.finish_reason is not None
                before = together.pop(index, None)
                if before is not None and (before.tool or delta.tool):  # a use has its own place in the text
                    yield index, before
                    before = None
                together[index] = delta if before is None else joined(before, delta)
            for index, delta in together.items():
                yield index, delta

    @contextlib.asynccontextmanager
    async def watched(self, request: Request) -> AsyncIterator[None]:
        """Cancel everything when the client disconnects or the block is left for any reason."""
        watcher = asyncio.create_task(self._cancel_on_disconnect(request))
        works: set[Work] = request.app.state.drain.works
        works.add(self)
        try:
            yield
        finally:
            works.discard(self)
            watcher.cancel()
            self.cancel()
            for watch, completion in zip(self._watches, self.completions, strict=bool(self._watches)):
                watch.left(completion)

    async def _cancel_on_disconnect(self, request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.cancel()

    def fail(self, error: ApiError) -> None:
        """End with `error` instead of an answer; to be called in the event loop."""
        self._failed = error
        self._news.wake()

    def usage(self, n: int | None) -> Usage:
        """Token counts; a prompt counts once, however many completions it gets."""
        prompt = sum(len(completion.prompt) for completion in self.completions[:: n or 1])
        made = sum(completion.num_tokens for completion in self.completions)
        return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}

    def cancel(self) -> None:
        """Stop whatever is still running."""
        for completion in self.completions:
            completion.cancel()


def choice_params(params: SamplingParams, choice: int) -> SamplingParams:
    """The parameters of one of n choices: with a seed, choice 0 is what n = 1 gives, the others count up from it."""
    if params.seed is None or choice == 0:
        return params
    return dataclasses.replace(params, seed=(params.seed + choice) % 2**63)
