"""`/metrics` in Prometheus' form: every answer is in the histograms, and counted by the reason for which it ended."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx

from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.serve.measures import Histogram

SAMPLE = re.compile(r'(glassmill_[a-z_]+)\{model="tiny"(?:,(le|reason)="([^"]+)")?\} (\S+)')


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value, times in ((0.5, 1), (1.0, 2), (1.5, 1), (9.0, 1)):
        histogram.observe(value, times)
    samples = [line.rsplit(" ", 1)[1] for line in histogram.lines("x", 'model="m"')]
    assert samples == ["3", "4", "5", "13", "5"]


def samples(url: str) -> dict[tuple[str, str], float]:
    text = httpx.get(f"{url}/metrics").text
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            found[match[1], match[3] or ""] = float(match[4])
    return found


def test_answers_are_measured_by_time_tokens_and_reason(loaded: Model, start_server: Any) -> None:
    server = start_server(create_api(lambda: loaded))
    ask = {"prompt": [1, 2, 3, 4, 5], "max_tokens": 7, "ignore_eos": True}
    try:
        for stream in (False, True):
            assert httpx.post(f"{server.url}/v1/completions", json=ask | {"stream": stream, "n": 2}).status_code == 200
        with httpx.stream(
            "POST", f"{server.url}/v1/completions", json=ask | {"stream": True, "max_tokens": 200}
        ) as some:
            next(some.iter_lines())
        deadline = time.monotonic() + 20
        while (found := samples(server.url)).get(("glassmill_answers_finished_total", "cancelled")) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        server.stop()
    assert found["glassmill_answers_finished_total", "length"] == 4
    for name in ("time_to_first_token_seconds", "queue_seconds", "request_prompt_tokens", "request_answer_tokens"):
        assert found[f"glassmill_{name}_count", ""] == found[f"glassmill_{name}_bucket", "+Inf"] == 5, name
    assert found["glassmill_request_prompt_tokens_sum", ""] == 25
    assert found["glassmill_request_answer_tokens_bucket", "16"] >= 4
    assert found["glassmill_time_between_tokens_seconds_count", ""] >= 4 * 6
