"""From logits to one token: penalties, temperature, cuts, and a draw from the request's own random generator.

One row of logits in, one token id out, in plain numpy. A row does not depend on the rest of its batch, so a seed gives
the same draws whatever else is being served.

Order, as in transformers: logit bias and penalties, temperature, `top_k`, `top_p`, `min_p`, draw.
Sources: top-p (Holtzman et al. 2020, arXiv 1904.09751), min-p (arXiv 2407.01082), repetition penalty (CTRL, arXiv
1909.05858, section 4.1), presence and frequency penalty (OpenAI API reference).

    V vocabulary
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class Constraint(Protocol):
    """What one completion may say next. The engine's thread alone calls it, and it never raises."""

    def mask(self, logits_V: Floats) -> None:
        """Give every token that may not come next minus infinity, in place; at least one token is left."""
        ...

    def accept(self, token: int) -> None:
        """Go on behind `token`, one of those that may come next."""
        ...


class Grammar(Protocol):
    """A form that completions have to take. `glassmill.serve.grammar` makes them."""

    def begin(self) -> Constraint:
        """For a new completion."""
        ...


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a completion is sampled, and when it ends.

    Attributes:
        max_tokens: Maximum number of new tokens; `None`: as many as the context holds.
        temperature: 0 always takes the likeliest token.
        top_k: Keep the k likeliest tokens; 0 keeps all.
        top_p: Keep the likeliest tokens that together have this probability.
        min_p: Drop tokens below this fraction of the highest probability.
        seed: Same seed, same completion; `None`: random.
        stop: The text ends before the first of these strings.
        stop_token_ids: More token ids that end the text, besides the model's own.
        ignore_eos: Continue past the model's own end tokens.
        logprobs: How many top tokens to report with each token; `None`: no log-probabilities.
        processed_logprobs: Report those of the distribution that was drawn from, not the model's own.
        echo_logprobs: Report those of the prompt's tokens too.
        tools: Run the model's calculator calls and insert their results.
        continues: The text goes on where the prompt ends, instead of answering it: some vocabularies leave out the
            blank in front of an answer's first word.
        grammar: The form that the completion has to take.
        shown_ids: Control tokens that appear in the text by their names.

    Raises:
        ValueError: A value is out of bounds; the message names the field.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    processed_logprobs: bool = False
    echo_logprobs: bool = False
    tools: bool = False
    continues: bool = False
    grammar: Grammar | None = None
    shown_ids: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        _check("max_tokens", self.max_tokens is None or self.max_tokens >= 0, self.max_tokens, "at least 0")
        _check("temperature", 0.0 <= self.temperature <= 100.0, self.temperature, "from 0 to 100")
        _check("top_k", self.top_k >= 0, self.top_k, "at least 0")
        _check("top_p", 0.0 < self.top_p <= 1.0, self.top_p, "above 0 and at most 1")
        _check("min_p", 0.0 <= self.min_p <= 1.0, self.min_p, "from 0 to 1")
        _check("seed", self.seed is None or abs(self.seed) < 2**63, self.seed, "a 64-bit number")
        _check("stop", all(self.stop), self.stop, "strings that are not empty")
        _check("presence_penalty", abs(self.presence_penalty) <= 2.0, self.presence_penalty, "from -2 to 2")
        _check("frequency_penalty", abs(self.frequency_penalty) <= 2.0, self.frequency_penalty, "from -2 to 2")
        _check("repetition_penalty", 0 < self.repetition_penalty <= 10, self.repetition_penalty, "above 0, at most 10")
        _check("logit_bias", all(abs(b) <= 100 for b in self.logit_bias.values()), self.logit_bias, "from -100 to 100")
        _check("logprobs", self.logprobs is None or 0 <= self.logprobs <= 20, self.logprobs, "from 0 to 20")

    @property
    def is_plain_greedy(self) -> bool:
        """Whether the next token is simply the argmax of the logits, with nothing to report."""
        return self.temperature == 0.0 and self.logprobs is None and not self.changes_logits

    @property
    def changes_logits(self) -> bool:
        """Whether penalties, a bias or a grammar change the order of the tokens."""
        penalties = (self.presence_penalty, self.frequency_penalty, self.repetition_penalty - 1.0)
        return bool(self.logit_bias) or any(penalties) or self.grammar is not None


def _check(name: str, holds: bool, value: object, bounds: str) -> None:
    if not holds:
        raise ValueError(f"{name} = {value!r}: must be {bounds}")


def make_generator(seed: int | None) -> np.random.Generator:
    """The generator of one request; without a seed, seeded by the operating system."""
    return np.random.Generator(np.random.PCG64(None if seed is None else seed % 2**64))


class Sampler:
    """One request's draws: its parameters, generator, counts that penalties need, and place in a grammar."""

    def __init__(self, params: SamplingParams, prompt: Sequence[int]) -> None:
        self.params = params
        self.generator = make_generator(params.seed)
        self.counts: dict[int, int] = {}
        self.seen = set(prompt) if params.repetition_penalty != 1.0 else set()
        self.constraint = None if params.grammar is None else params.grammar.begin()

    def choose(self, logits_V: Floats) -> int:
        """The next token. Leaves `logits_V` as it is."""
        params = self.params
        if params.changes_logits:
            logits_V = self.adjusted(logits_V)
        if params.temperature == 0.0:
            return int(logits_V.argmax())
        return draw(logits_V, params.temperature, params.top_k, params.top_p, params.min_p, self.generator.random())

    def logprobs(self, logits_V: Floats, token: int) -> TokenLogprobs | None:
        """The log-probabilities that the request asked for, before `saw(token)`."""
        params, wanted = self.params, self.params.logprobs
        if wanted is None:
            return None
        if not params.processed_logprobs:
            return token_logprobs(logits_V, token, wanted)
        if params.changes_logits:
            logits_V = self.adjusted(logits_V)
        if params.temperature == 0.0:
            ids, weights = np.array([logits_V.argmax()]), np.ones(1)
        else:
            ids, weights = kept_tokens(logits_V, params.temperature, params.top_k, params.top_p, params.min_p)
        chosen = weights[ids == token]
        top = np.argsort(-weights, kind="stable")[:wanted]
        return TokenLogprobs(
            logprob=float(np.log(chosen[0])) if len(chosen) else -math.inf,  # forced by the calculator
            top=tuple((int(ids[i]), float(np.log(weights[i]))) for i in top if weights[i] > 0),
        )

    def saw(self, token: int) -> None:
        """Count a generated token, drawn or forced."""
        if self.params.changes_logits:
            self.counts[token] = self.counts.get(token, 0) + 1
            self.seen.add(token)
        if self.constraint is not None:
            self.constraint.accept(token)

    def adjusted(self, logits_V: Floats) -> Floats:
        """Logits after repetition, presence and frequency penalty, bias and grammar."""
        params, adjusted_V = self.params, logits_V.copy()
        if params.repetition_penalty != 1.0 and self.seen:
            ids = np.fromiter(self.seen, dtype=np.int64)
            values, penalty = adjusted_V[ids], params.repetition_penalty
            adjusted_V[ids] = np.where(values > 0, values / penalty, values * penalty)
        if self.counts:
            ids = np.fromiter(self.counts.keys(), dtype=np.int64)
            counts = np.fromiter(self.counts.values(), dtype=np.float32)
            adjusted_V[ids] -= params.presence_penalty + params.frequency_penalty * counts
        for token, bias in params.logit_bias.items():
            adjusted_V[token] += bias
        if self.constraint is not None:
            self.constraint.mask(adjusted_V)
        return adjusted_V


def draw(logits_V: Floats, temperature: float, top_k: int, top_p: float, min_p: float, uniform: float) -> int:
    """The token at `uniform` (in `[0, 1)`) of the cut distribution, likeliest tokens first.

    >>> draw(np.log(np.array([0.5, 0.3, 0.2], dtype=np.float32)), 1.0, top_k=2, top_p=1.0, min_p=0.0, uniform=0.7)
    1
    """
    ids, probabilities = kept_tokens(logits_V, temperature, top_k, top_p, min_p)
    cumulative = np.cumsum(probabilities)
    return int(ids[np.searchsorted(cumulative, uniform * cumulative[-1], side="right").clip(max=len(ids) - 1)])


def kept_tokens(
    logits_V: Floats, temperature: float, top_k: int, top_p: float, min_p: float
) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Ids of the tokens that survive the cuts, and their probabilities (float64, summing to 1).

    Likeliest first, ties by id; if nothing is cut, in the order of their ids.
    """
    scaled_V = logits_V.astype(np.float64) / temperature
    if 0 < top_k < len(scaled_V):
        ids = _likeliest(scaled_V, top_k)
    else:
        ids = np.arange(len(scaled_V))
    weights = np.exp(scaled_V[ids] - scaled_V[ids].max())
    weights /= weights.sum()
    if top_p < 1.0 or min_p > 0.0:
        if not 0 < top_k < len(scaled_V):
            ids, weights = _by_weight(weights, needed=top_p)
        keep = np.cumsum(weights) - weights < top_p
        keep &= weights >= min_p * weights[0]
        keep[0] = True
        ids, weights = ids[keep], weights[keep]
        weights /= weights.sum()
    return ids, weights


def _likeliest(values_V: npt.NDArray[np.floating[Any]], k: int) -> Ids:
    """The k largest, descending, ties by id, without sorting the rest."""
    bound = np.partition(values_V, -k)[-k]
    ids = np.flatnonzero(values_V >= bound)
    return ids[np.argsort(-values_V[ids], kind="stable")][:k]


def _by_weight(weights_V: npt.NDArray[np.float64], needed: float) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Ids and weights in descending order, sorted only as far as a share of `needed` reaches."""
    head = min(len(weights_V), 512)
    if needed < 1.0 and head < len(weights_V):
        ids = _likeliest(weights_V, head)
        if weights_V[ids].sum() > needed:
            return ids, weights_V[ids]
    ids = np.argsort(-weights_V, kind="stable")
    return ids, weights_V[ids]


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Log-probabilities (nats) at one position: of the model's own distribution, unless asked for otherwise.

    Attributes:
        logprob: Of the actual token.
        top: The likeliest tokens and theirs, likeliest first.
    """

    logprob: float
    top: tuple[tuple[int, float], ...]


def token_logprobs(logits_V: Floats, token: int, num_top: int) -> TokenLogprobs:
    """What the model thought of `token` and of its `num_top` likeliest tokens."""
    wide_V = logits_V.astype(np.float64)
    largest = float(wide_V.max())
    normalizer = largest + math.log(float(np.exp(wide_V - largest).sum()))
    ids = _likeliest(wide_V, min(num_top, len(wide_V))) if num_top else np.empty(0, dtype=np.int64)
    return TokenLogprobs(
        logprob=float(wide_V[token]) - normalizer,
        top=tuple((int(i), float(wide_V[i]) - normalizer) for i in ids),
    )


def prompt_logprobs(logits_TV: Floats, following: Sequence[int], num_top: int) -> list[TokenLogprobs]:
    """What the model thought, at every position, of the token that follows: `token_logprobs` for many positions."""
    out: list[TokenLogprobs] = []
    for logits_V, normalizer, token in zip(logits_TV, log_normalizers(logits_TV).tolist(), following, strict=True):
        ids = _likeliest(logits_V, min(num_top, len(logits_V))) if num_top else np.empty(0, dtype=np.int64)
        top = tuple((int(i), float(logits_V[i]) - normalizer) for i in ids)
        out.append(TokenLogprobs(float(logits_V[token]) - normalizer, top))
    return out


def log_normalizers(logits_TV: Floats) -> npt.NDArray[np.float64]:
    """Logarithm of the sum of the exponentials at every position, `(T,)`."""
    largest_T = logits_TV.max(axis=-1).astype(np.float64)
    sums_T = np.exp(logits_TV - largest_T[:, None].astype(np.float32)).sum(axis=-1, dtype=np.float64)
    return np.asarray(largest_T + np.log(sums_T))
