"""What a server measures of its answers, in Prometheus' text form at `/metrics`.

Histograms, by model: the first token, the time between tokens, the time in the queue, tokens of prompts and of answers.
Counters: answers by the reason for which they ended. Beside them what each engine is doing now.
Source: the text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from glassmill.infer.completion import Completion
from glassmill.infer.compose import Delta

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
HISTOGRAMS: dict[str, tuple[Sequence[float], str]] = {
    "time_to_first_token_seconds": (SECONDS, "From the request to the first token of its answer."),
    "time_between_tokens_seconds": (SECONDS, "Between two tokens of an answer."),
    "queue_seconds": (SECONDS, "From the request to the moment in which its prompt begins to be read."),
    "request_prompt_tokens": (TOKENS, "Tokens of a prompt."),
    "request_answer_tokens": (TOKENS, "Tokens of an answer."),
}
FINISHED = "answers_finished_total"
GAUGES = ("running", "waiting", "prefix_bytes")
HELP = {
    "running": "Requests being computed.",
    "waiting": "Requests in the queue.",
    "completions": "Requests begun.",
    "prompt_tokens": "Tokens of prompts.",
    "new_tokens": "Tokens made.",
    "busy_s": "Seconds in which the engine computed.",
    "prefix_hits": "Prompts whose beginning was known.",
    "prefix_tokens": "Tokens of prompts that were not read again.",
    "prefix_bytes": "Keys and values kept for prompts to come.",
    "drafted_tokens": "Tokens guessed.",
    "accepted_tokens": "Guessed tokens that were right.",
}


class Histogram:
    """Numbers of observations up to each bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count `value`, several times if need be."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def lines(self, name: str, label: str) -> Iterator[str]:
        """Its samples."""
        seen = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            seen += count
            edge = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield f'{name}_bucket{{{label},le="{edge}"}} {seen}'
        yield f"{name}_sum{{{label}}} {self.total:.9g}"
        yield f"{name}_count{{{label}}} {seen}"


class Measures:
    """All histograms and counters of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms: dict[tuple[str, str], Histogram] = {}
        self._finished: dict[tuple[str, str], int] = {}

    def watch(self, model: str) -> Watch:
        """Watches one answer of a model, from now on."""
        return Watch(self, model)

    def observe(self, model: str, name: str, value: float, times: int = 1) -> None:
        """Count a value of one of `HISTOGRAMS`."""
        with self._lock:
            key = (name, model)
            if key not in self._histograms:
                self._histograms[key] = Histogram(HISTOGRAMS[name][0])
            self._histograms[key].observe(value, times)

    def finished(self, model: str, reason: str) -> None:
        """Count an answer that has ended."""
        with self._lock:
            self._finished[model, reason] = self._finished.get((model, reason), 0) + 1

    def lines(self, models: Iterable[Model]) -> Iterator[str]:
        """Everything, with what the engines of `models` are doing now."""
        stats = {model.name: asdict(model.engine.stats()) for model in models}
        for field in next(iter(stats.values()), {}):
            kind = "gauge" if field in GAUGES else "counter"
            yield from _head(field, HELP.get(field, field.replace("_", " ").capitalize() + "."), kind)
            yield from (f"glassmill_{field}{{{_label(name)}}} {values[field]}" for name, values in stats.items())
        with self._lock:
            for name, (_, told) in HISTOGRAMS.items():
                yield from _head(name, told, "histogram")
                for (measure, model), histogram in sorted(self._histograms.items()):
                    if measure == name:
                        yield from histogram.lines(f"glassmill_{name}", _label(model))
            yield from _head(FINISHED, "Answers by the reason for which they ended.", "counter")
            for (model, reason), count in sorted(self._finished.items()):
                yield f'glassmill_{FINISHED}{{{_label(model)},reason="{reason}"}} {count}'


class Watch:
    """One answer: when its tokens came."""

    def __init__(self, measures: Measures, model: str) -> None:
        self._measures, self._model = measures, model
        self._asked = self._last = time.perf_counter()
        self._begun = self._ended = False

    def saw(self, completion: Completion, delta: Delta, at: float) -> None:
        """The next piece of the answer, made at `at`; text may be held back, so a piece may bring several tokens."""
        observe, new = self._measures.observe, len(delta.tokens)
        if new and not self._begun:
            self._begun = True
            observe(self._model, "time_to_first_token_seconds", at - self._asked)
            observe(self._model, "queue_seconds", max(0.0, completion.joined_at - self._asked))
        elif new:
            observe(self._model, "time_between_tokens_seconds", (at - self._last) / new, new)
        if new:
            self._last = at
        if delta.finish_reason is not None:
            self._end(completion, delta.finish_reason)

    def left(self, completion: Completion) -> None:
        """Nobody waits for the rest."""
        if not self._ended:
            self._end(completion, "cancelled")

    def _end(self, completion: Completion, reason: str) -> None:
        self._ended = True
        self._measures.observe(self._model, "request_prompt_tokens", len(completion.prompt))
        self._measures.observe(self._model, "request_answer_tokens", completion.num_tokens)
        self._measures.finished(self._model, reason)


def _head(name: str, told: str, kind: str) -> Iterator[str]:
    yield f"# HELP glassmill_{name} {told}"
    yield f"# TYPE glassmill_{name} {kind}"


def _label(model: str) -> str:
    escaped = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'model="{escaped}"'
