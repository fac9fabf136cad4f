"""How long a step of looking inside a model takes.

    python bench/inside.py             # the demo's layers, with random weights and bytes as tokens
    python bench/inside.py MODEL

A reader opens a text and goes through its tokens, as the page does. The first request reads the text; each further one
asks where the heads look at one token, and what speaks for the next. Medians over three texts, by the clock and in CPU
seconds of this process, which is server and reader at once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from fastapi.testclient import TestClient
from machine import machine
from server import save_model

from glassmill.infer.generate import Model
from glassmill.serve.api import create_api

DEMO = {"d_model": 160, "num_layers": 4, "num_heads": 5, "num_kv_heads": 5, "head_dim": 32, "d_ff": 448}
TOKENS, TEXTS = 64, 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path, nargs="?")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or Path(folder) / "model"
        if arguments.model is None:
            save_model(path, DEMO)
        model = Model.load(path)
        client = TestClient(create_api(lambda: model, None, None))
        timed(client, [5] * TOKENS, {"views": ["norms"]})  # torch is imported, the weights are read
        opened, steps = [], []
        for text in range(TEXTS):
            ids = [(7 * i + text) % 200 for i in range(TOKENS)]
            opened.append(timed(client, ids, {"views": ["lens", "norms", "added", "shape"]}))
            steps += [
                timed(client, ids, {"views": ["attention", "attribution"], "query": i, "token": ids[i]})
                for i in range(0, TOKENS, 4)
            ]
        model.close()
    print(machine())
    for name, times in (("open a text", opened), ("a token of it", steps)):
        clock, cpu = (1000 * median(pair[i] for pair in times) for i in (0, 1))
        print(f"{name:14} {clock:7.1f} ms by the clock, {cpu:7.1f} ms of CPU")


def timed(client: TestClient, ids: list[int], body: dict[str, Any]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU, that one request takes."""
    clock, cpu = time.perf_counter(), time.process_time()
    answer = client.post("/internal/trace", json={"tokens": ids, **body})
    answer.raise_for_status()
    return time.perf_counter() - clock, time.process_time() - cpu


if __name__ == "__main__":
    main()
