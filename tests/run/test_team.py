"""The processes of an attempt find each other in a store that holds what earlier attempts wrote."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from glassmill.run.team import attempt_of

distributed = pytest.importorskip("torch.distributed")


def test_an_attempt_has_one_name_whatever_the_dead_have_left() -> None:
    store = distributed.TCPStore("127.0.0.1", 0, None, True, timedelta(seconds=60))

    def client() -> object:
        return distributed.TCPStore("127.0.0.1", store.port, None, False, timedelta(seconds=60))

    store.add("words", 1)  # one that died before its word was there
    store.set(f"words/{store.add('words', 1)}", "of one that died waiting")
    names: list[str] = []
    for _ in range(3):
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda rank=rank, found=found: found.append(attempt_of(client(), rank, 3)))
            for rank in (2, 1, 0)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 3 and len(set(found)) == 1
        names.append(found[0])
    assert len(set(names)) == 3
    assert store.get("answers/of one that died waiting")
