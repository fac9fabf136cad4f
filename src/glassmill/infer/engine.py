"""The engine: one thread that computes all requests to a model, many at a time.

Requests wait in a bounded queue and join the batch at the next step. A step reads a piece of the new prompts and gives
every running request its next token. So a long prompt delays the others by one piece at most (`call` as long as it
takes), and a cancelled request is gone after the current step. What was read before is not read again (`prefixes`), and
where a text repeats itself, several tokens come from one step (`drafts`); neither changes a text.

The engine knows the model only as a `Decoder`, and its thread is the only one that calls it.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from glassmill.errors import ContextOverflow, EngineClosed, QueueFull
from glassmill.infer.batch import Batch
from glassmill.infer.completion import Completion
from glassmill.infer.compose import Delta, Vocabulary
from glassmill.infer.decoder import Decoder
from glassmill.infer.sampling import SamplingParams

PREFILL_TOKENS, PREFILL_S = 1024, 0.5
"""Prompt tokens per step, including padding, while no other request is being answered: as many as take so long."""
PREFILL_TOKENS_SHARED, PREFILL_S_SHARED = 256, 0.1
"""The same while others are, and wait."""
PREFIX_CACHE_BYTES = 256 << 20
"""Keys and values kept for prompts to come."""
COMPANY_STEPS = 4
"""How many steps a free row may wait for others, if more requests are waiting than rows are free."""

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine is doing, and has done.

    Attributes:
        prefix_hits, prefix_tokens: Prompts whose beginning was known, and the prompt tokens that were not read again.
        prefix_bytes: Keys and values kept for prompts to come.
        drafted_tokens, accepted_tokens: Tokens guessed, and those of them that were right.
    """

    running: int
    waiting: int
    completions: int
    prompt_tokens: int
    new_tokens: int
    busy_s: float
    prefix_hits: int
    prefix_tokens: int
    prefix_bytes: int
    drafted_tokens: int
    accepted_tokens: int


class Engine:
    """Serves one model until it is closed.

    Args:
        decoder: Computes, and bounds how many requests run at once and how long they are. It belongs to the engine now.
        tokenizer: Its tokenizer.
        max_waiting: Requests that may wait; one more gets `QueueFull`.
        prefix_cache_bytes: Keys and values kept of finished requests, for prompts that begin alike; 0: none.
        speculate: Whether tokens are guessed where a text repeats itself. The text is the same.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Vocabulary,
        max_waiting: int = 128,
        prefix_cache_bytes: int = PREFIX_CACHE_BYTES,
        speculate: bool = True,
    ) -> None:
        self.tokenizer, self.max_waiting = tokenizer, max_waiting
        self.max_length = decoder.info.context_length
        self._decoder = decoder
        self._batch = Batch(decoder, tokenizer, prefix_cache_bytes, speculate)
        self._waiting: deque[Completion] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._completions = self._prompt_tokens = 0
        self._busy_s = 0.0
        self._steps_waited = 0
        self._thread = threading.Thread(target=self._run, name="glassmill-engine", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # a thread inside native code while the interpreter dies would abort the process

    # --- called from any thread ---------------------------------------------------------------------------------------

    def submit(
        self, prompt: Sequence[int], params: SamplingParams, on_delta: Callable[[Delta], None] | None = None
    ) -> Completion:
        """Queue a completion of `prompt`. See `submit_all`."""
        return self.submit_all([prompt], [params], on_delta and [on_delta])[0]

    def submit_all(
        self,
        prompts: Sequence[Sequence[int]],
        params: Sequence[SamplingParams],
        on_delta: Sequence[Callable[[Delta], None]] | None = None,
        may_exceed_queue: bool = False,
    ) -> list[Completion]:
        """Queue several completions, all or none.

        Args:
            prompts: Token ids, at least one per prompt.
            params: One for each prompt.
            on_delta: Called in the engine's thread, one for each prompt.
            may_exceed_queue: For callers in this process with a finite list of work.

        Raises:
            ContextOverflow: A prompt leaves no room for an answer.
            ValueError: An empty prompt, or an id that the model does not have.
            QueueFull: Too many requests are waiting.
            EngineClosed: The engine was closed.
        """
        callbacks: Sequence[Callable[[Delta], None] | None] = on_delta or [None] * len(prompts)
        completions = [
            Completion(self._checked(prompt, param), param, callback)
            for prompt, param, callback in zip(prompts, params, callbacks, strict=True)
        ]
        with self._wake:
            if self._closed:
                raise EngineClosed("the engine is closed")
            if not may_exceed_queue and len(self._waiting) + len(completions) > self.max_waiting:
                raise QueueFull(f"{len(self._waiting)} requests are already waiting; try again later")
            self._waiting.extend(completions)
            self._wake.notify()
        return completions

    def _checked(self, prompt: Sequence[int], params: SamplingParams) -> tuple[int, ...]:
        ids = tuple(map(int, prompt))
        if not ids:
            raise ValueError("the prompt is empty")
        longest = self.max_length if params.max_tokens == 0 else self.max_length - 1
        if len(ids) > longest:
            raise ContextOverflow(
                f"the prompt has {len(ids)} tokens; the context holds {self.max_length} for prompt and answer together"
            )
        vocab_size = self._decoder.info.vocab_size
        for token in (min(ids), max(ids), *params.logit_bias, *params.stop_token_ids):
            if not 0 <= token < vocab_size:
                raise ValueError(f"token id {token} is out of range: the model has {vocab_size} tokens")
        return ids

    def call(self, function: Callable[[Decoder], T]) -> T:
        """`function(decoder)`, computed in the engine's thread between two steps, as soon as a row is free.

        Raises:
            EngineClosed: The engine was closed. Whatever `function` raises.
        """
        result: Future[T] = Future()

        def run() -> None:
            if self._closed:
                result.set_exception(EngineClosed("the engine is closed"))
                return
            try:
                result.set_result(function(self._decoder))
            except BaseException as error:
                result.set_exception(error)

        with self._wake:
            if self._closed:
                raise EngineClosed("the engine is closed")
            self._calls.append(run)
            self._wake.notify()
        return result.result()

    def stats(self) -> EngineStats:
        """What the engine is doing now and has done so far."""
        return EngineStats(
            running=len(self._batch.rows),
            waiting=len(self._waiting),
            completions=self._completions,
            prompt_tokens=self._prompt_tokens,
            new_tokens=self._batch.num_new_tokens,
            busy_s=self._busy_s,
            prefix_hits=self._batch.prefixes.hits,
            prefix_tokens=self._batch.prefixes.saved_tokens,
            prefix_bytes=self._batch.prefixes.num_bytes,
            drafted_tokens=self._batch.num_drafted,
            accepted_tokens=self._batch.num_right,
        )

    def close(self) -> None:
        """Stop the thread; running and waiting requests end with `EngineClosed`."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        atexit.unregister(self.close)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # --- the engine's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait_for_work():
            start = time.perf_counter()
            try:
                self._step()
            except Exception as error:
                log.exception("a step of the engine failed")
                self._batch.fail(error)
            self._busy_s += time.perf_counter() - start
        closed = EngineClosed("the engine is closed")
        self._batch.fail(closed)  # closes the rows that are kept, too
        for completion in self._waiting:
            completion.error = closed
            completion.publish(Delta(finish_reason="error"))
        while self._calls:
            self._calls.popleft()()

    def _wait_for_work(self) -> bool:
        with self._wake:
            while not (self._closed or self._waiting or self._calls or self._batch.rows):
                self._wake.wait()
            return not self._closed

    def _step(self) -> None:
        batch = self._batch
        batch.drop_cancelled()
        called = bool(self._calls) and len(batch.rows) < batch.max_rows
        if called:  # one at a time: requests join between them
            batch.free_a_row()
            self._calls.popleft()()
        shared = len(batch.rows) > len(batch.reading)
        limits = (PREFILL_S_SHARED, PREFILL_TOKENS_SHARED) if shared else (PREFILL_S, PREFILL_TOKENS)
        piece = batch.pace.prompt_tokens(*limits)
        if (called or not self._calls) and not self._waits_for_company():
            batch.join(self._joining(piece))
        batch.step(piece)

    def _waits_for_company(self) -> bool:
        """Whether the free rows of a nearly full batch should wait a few steps, so that prompts are read together."""
        free = self._batch.max_rows - len(self._batch.rows)
        crowded = 0 < free < self._batch.max_rows // 4 and len(self._waiting) > free
        self._steps_waited = self._steps_waited + 1 if crowded and self._steps_waited < COMPANY_STEPS else 0
        return self._steps_waited > 0

    def _joining(self, max_tokens: int) -> list[Completion]:
        """Waiting requests that join now: as many as are read in one piece with padding, or a single long one.

        In their order, but for those that begin like one that is being read: they wait for it, and fork.
        """
        joining: list[Completion] = []
        batch, held = self._batch, list[Completion]()
        num_reading, padded = len(batch.reading), 0
        with self._wake:
            for completion in [waiting for waiting in self._waiting if waiting.cancelled]:
                self._waiting.remove(completion)
                completion.publish(Delta(finish_reason="cancelled"))
            while self._waiting and len(held) < batch.max_rows and batch.has_room([*joining, self._waiting[0]]):
                first = self._waiting[0]
                if batch.will_be_read(first, joining):
                    held.append(self._waiting.popleft())
                    continue
                padded = max(padded, len(first.prompt))
                num_together = num_reading + len(joining) + 1
                if num_together > 1 and padded * num_together > max_tokens:
                    break
                joining.append(self._waiting.popleft())
            self._waiting.extendleft(reversed(held))
        for completion in joining:
            completion.joined_at = time.perf_counter()
        self._completions += len(joining)
        self._prompt_tokens += sum(len(completion.prompt) for completion in joining)
        return joining
