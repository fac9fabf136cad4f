"""Deltas on their way to the event loop: none is lost, their order stays, and one wake-up serves all that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from glassmill.infer.compose import Delta, TokenRecord
from glassmill.serve.work import News, joined


def test_what_the_engine_adds_is_taken_in_order_however_fast_it_comes() -> None:
    async def run() -> list[int]:
        news, got = News(), list[int]()
        thread = threading.Thread(target=lambda: [news.add(i, Delta(str(i))) for i in range(3000)])
        thread.start()
        while len(got) < 3000:
            got += [index for index, _, _ in await news.take()]
        thread.join()
        return got

    assert asyncio.run(run()) == list(range(3000))


def test_the_loop_is_woken_once_for_all_streams_that_wait() -> None:
    async def run() -> tuple[list[int], int]:
        loop, woken = asyncio.get_running_loop(), 0
        call = loop.call_soon_threadsafe

        def counted(does: Callable[[], object]) -> None:
            nonlocal woken
            woken += 1
            call(does)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
        streams = [News() for _ in range(8)]
        thread = threading.Thread(target=lambda: [one.add(0, Delta("x")) for _ in range(50) for one in streams])
        thread.start()
        thread.join()  # the loop has no turn until here
        return [len(await one.take()) for one in streams], woken

    assert asyncio.run(run()) == ([50] * 8, 1)


def test_two_deltas_are_one_with_all_their_tokens_and_the_last_reason() -> None:
    one, two = TokenRecord(1, b"a"), TokenRecord(2, b"b")
    whole = Delta("ab", (one, two), None, "stop")
    assert joined(Delta("a", (one,)), Delta("b", (two,), None, "stop")) == whole
