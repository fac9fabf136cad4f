"""One request to the engine, as its caller sees it: deltas as they come, the whole reply at the end, a way to stop.

The engine's thread calls `publish`; any other thread iterates, waits for `reply()`, or cancels.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from glassmill.infer.compose import Delta, FinishReason, TokenRecord, ToolUse
from glassmill.infer.sampling import Ids, SamplingParams, TokenLogprobs


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished completion.

    Attributes:
        text: The visible text; uses of the calculator are in `parts`.
        parts: Text and tool uses in their order.
        tokens: Every token, including the end token and those of tool uses, but not those of a stop string.
        prompt_logprobs: One entry per prompt token if the request asked for them; the first is `None`.
        num_cached_tokens: Prompt tokens that were not read again.
    """

    text: str
    parts: tuple[str | ToolUse, ...]
    tokens: tuple[TokenRecord, ...]
    finish_reason: FinishReason
    num_prompt_tokens: int
    num_completion_tokens: int
    prompt_logprobs: tuple[TokenLogprobs | None, ...] = ()
    num_cached_tokens: int = 0

    @property
    def tools(self) -> tuple[ToolUse, ...]:
        """The uses of the calculator."""
        return tuple(part for part in self.parts if isinstance(part, ToolUse))


class Completion:
    """A request in the engine.

    Args:
        prompt: Token ids.
        params: How to sample.
        on_delta: Called in the engine's thread with every delta, including the last; must return immediately.

    Attributes:
        prompt_ids: The prompt as an array, for comparing.
        num_tokens: Tokens of the answer so far.
        num_cached: Tokens of the prompt that the engine need not read again.
        joined_at: When it left the queue, by `time.perf_counter`; 0 before.
    """

    def __init__(
        self, prompt: tuple[int, ...], params: SamplingParams, on_delta: Callable[[Delta], None] | None = None
    ) -> None:
        self.prompt, self.params = prompt, params
        self.prompt_ids: Ids = np.array(prompt, dtype=np.int64)
        self.num_tokens = self.num_cached = 0
        self.joined_at = 0.0
        self.prompt_logprobs: list[TokenLogprobs | None] = []
        self.error: BaseException | None = None
        self._on_delta = on_delta
        self._deltas: list[Delta] = []
        self._queue: SimpleQueue[Delta] = SimpleQueue()
        self._done = threading.Event()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop after the current step; no effect on a finished completion."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    @property
    def done(self) -> bool:
        """Whether the last delta has been published."""
        return self._done.is_set()

    def publish(self, delta: Delta) -> None:
        """Hand a delta to the caller (the engine's thread only)."""
        assert not self.done
        self._deltas.append(delta)
        if delta.finish_reason is not None:
            self._done.set()
        self._queue.put(delta)
        if self._on_delta is not None:
            try:
                self._on_delta(delta)
            except Exception:  # the caller is gone (its event loop is closed); other requests must not suffer
                self.cancel()

    def __iter__(self) -> Iterator[Delta]:
        """Every delta as it comes. Leaving the loop early cancels the completion.

        Raises:
            EngineClosed, RuntimeError: The engine could not finish.
        """
        try:
            while True:
                delta = self._queue.get()
                if delta.finish_reason == "error":
                    raise self.error or RuntimeError("the engine failed")
                yield delta
                if delta.finish_reason is not None:
                    return
        finally:
            self.cancel()

    def reply(self) -> Reply:
        """Wait for the end and return the whole reply."""
        self._done.wait()
        last = self._deltas[-1].finish_reason
        assert last is not None
        if last == "error":
            raise self.error or RuntimeError("the engine failed")
        return Reply(
            text="".join(delta.text for delta in self._deltas),
            parts=_parts(self._deltas),
            tokens=tuple(record for delta in self._deltas for record in delta.tokens),
            finish_reason=last,
            num_prompt_tokens=len(self.prompt),
            num_completion_tokens=self.num_tokens,
            prompt_logprobs=tuple(self.prompt_logprobs),
            num_cached_tokens=self.num_cached,
        )


def _parts(deltas: list[Delta]) -> tuple[str | ToolUse, ...]:
    parts: list[str | ToolUse] = []
    for delta in deltas:
        if delta.tool is not None:
            parts.append(delta.tool)
        if delta.text and parts and isinstance(parts[-1], str):
            parts[-1] += delta.text
        elif delta.text:
            parts.append(delta.text)
    return tuple(parts)
