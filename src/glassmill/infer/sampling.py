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


BLOCK = 256
"""Tokens whose weights are summed before the running sum of a draw."""
COLUMNS = 1024
"""Into so many columns `_likeliest` deals the vocabulary."""
HEAD = 64
"""So many of the likeliest tokens are sorted at first for `top_p`."""
COLDEST = 1e-6
"""Colder than this, float32 logits that differ are infinitely far apart."""


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
        self.params, self.changes_logits = params, params.changes_logits
        self.generator = make_generator(params.seed)
        self.said = Tally()
        self.seen = Tally(prompt if params.repetition_penalty != 1.0 else ())
        self.bias_ids = np.fromiter(params.logit_bias.keys(), dtype=np.int64)
        self.biases = np.fromiter(params.logit_bias.values(), dtype=np.float32)
        self.constraint = None if params.grammar is None else params.grammar.begin()

    def choose(self, logits_V: Floats) -> int:
        """The next token. Leaves `logits_V` as it is."""
        params = self.params
        if self.changes_logits:
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
        if self.changes_logits:
            logits_V = self.adjusted(logits_V)
        if params.temperature == 0.0:
            ids, weights = np.array([logits_V.argmax()]), np.ones(1)
        else:
            ids, weights = kept_tokens(logits_V, params.temperature, params.top_k, params.top_p, params.min_p)
        chosen = weights[ids == token]
        top = _likeliest(weights, min(wanted, len(weights))) if wanted else ()
        return TokenLogprobs(
            logprob=float(np.log(chosen[0])) if len(chosen) else -math.inf,  # forced by the calculator
            top=tuple((int(ids[i]), float(np.log(weights[i]))) for i in top if weights[i] > 0),
        )

    def saw(self, token: int) -> None:
        """Count a generated token, drawn or forced."""
        if self.changes_logits:
            self.said.add(token)
            self.seen.add(token)
        if self.constraint is not None:
            self.constraint.accept(token)

    def adjusted(self, logits_V: Floats) -> Floats:
        """Logits after repetition, presence and frequency penalty, bias and grammar."""
        params, adjusted_V = self.params, logits_V.copy()
        if params.repetition_penalty != 1.0:
            ids, _ = self.seen.counts()
            values, penalty = adjusted_V[ids], params.repetition_penalty
            adjusted_V[ids] = np.where(values > 0, values / penalty, values * penalty)
        if params.presence_penalty or params.frequency_penalty:
            ids, counts = self.said.counts()
            adjusted_V[ids] -= params.presence_penalty + params.frequency_penalty * counts
        if len(self.bias_ids):
            adjusted_V[self.bias_ids] += self.biases
        if self.constraint is not None:
            self.constraint.mask(adjusted_V)
        return adjusted_V


class Tally:
    """How often each token was seen, as arrays that are ready to index with: they grow, and are not made anew."""

    def __init__(self, tokens: Sequence[int] = ()) -> None:
        ids, counts = np.unique(np.array(tokens, dtype=np.int64), return_counts=True)
        self._ids, self._counts = ids, counts.astype(np.float32)
        self._places = {token: place for place, token in enumerate(ids.tolist())}

    def add(self, token: int) -> None:
        """Count one more."""
        place = self._places.get(token)
        if place is None:
            place = self._places[token] = len(self._places)
            if place == len(self._ids):
                self._ids = np.concatenate([self._ids, np.zeros(place + 16, dtype=np.int64)])
                self._counts = np.concatenate([self._counts, np.zeros(place + 16, dtype=np.float32)])
            self._ids[place], self._counts[place] = token, 0
        self._counts[place] += 1

    def counts(self) -> tuple[Ids, Floats]:
        """The tokens seen, and how often each."""
        return self._ids[: len(self._places)], self._counts[: len(self._places)]


def draw(logits_V: Floats, temperature: float, top_k: int, top_p: float, min_p: float, uniform: float) -> int:
    """The token at `uniform` (in `[0, 1)`) of the cut distribution, in the order of the ids.

    In that order, and not likeliest first, a rounding error in two nearly equal logits does not make them change
    places under the same random number.

    >>> draw(np.log(np.array([0.5, 0.3, 0.2], dtype=np.float32)), 1.0, top_k=2, top_p=1.0, min_p=0.0, uniform=0.7)
    1
    """
    if not 0 < top_k < len(logits_V) and top_p >= 1.0 and min_p == 0.0:
        return _draw_of_all(_weights(logits_V, temperature), uniform)
    ids, probabilities = kept_tokens(logits_V, temperature, top_k, top_p, min_p)
    return int(ids[_place(probabilities, uniform)])


def kept_tokens(
    logits_V: Floats, temperature: float, top_k: int, top_p: float, min_p: float
) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Ids of the tokens that survive the cuts, ascending, and their probabilities (float64, summing to 1)."""
    ids = None
    if 0 < top_k < len(logits_V):
        ids = np.sort(_likeliest(logits_V, top_k))
        logits_V = logits_V[ids]
    weights = _weights(logits_V, temperature)
    kept = _kept(weights, top_p, min_p)
    if kept is not None:
        weights, ids = weights[kept], kept if ids is None else ids[kept]
    elif ids is None:
        ids = np.arange(len(weights))
    probabilities = weights.astype(np.float64)
    return ids, probabilities / probabilities.sum()


def _weights(logits_V: Floats, temperature: float) -> Floats:
    """Probabilities relative to the likeliest token's, which has 1."""
    weights_V: Floats = logits_V - logits_V.max()
    weights_V /= np.float32(max(temperature, COLDEST))
    np.exp(weights_V, out=weights_V)
    return weights_V


def _kept(weights_V: Floats, top_p: float, min_p: float) -> Ids | None:
    """Places of the weights that survive `top_p` and `min_p`, ascending; `None`: all do."""
    if top_p >= 1.0:
        return None if min_p == 0.0 else np.flatnonzero(weights_V >= np.float32(min_p))
    enough = top_p * float(weights_V.sum(dtype=np.float64))
    head = HEAD
    while True:
        places = _likeliest(weights_V, min(head, len(weights_V)))
        weights = weights_V[places].astype(np.float64)
        before = np.cumsum(weights) - weights
        if before[-1] + weights[-1] >= enough or len(places) == len(weights_V):
            break
        head *= 8
    keep = (before < enough) & (weights >= min_p)
    keep[0] = True
    return np.sort(places[keep])


def _draw_of_all(weights_V: Floats, uniform: float) -> int:
    """The place at `uniform` of the running sum, which is made of the sums of blocks, and within one block only."""
    sums = np.add.reduceat(weights_V, np.arange(0, len(weights_V), BLOCK))
    cumulative = np.cumsum(sums, dtype=np.float64)
    wanted = uniform * cumulative[-1]
    block = _at(cumulative, wanted)
    start = BLOCK * block
    inside = np.cumsum(weights_V[start : start + BLOCK], dtype=np.float64)
    return start + _at(inside, wanted - (cumulative[block - 1] if block else 0.0))


def _place(weights: npt.NDArray[np.float64], uniform: float) -> int:
    cumulative = np.cumsum(weights)
    return _at(cumulative, uniform * cumulative[-1])


def _at(cumulative: npt.NDArray[np.float64], wanted: float) -> int:
    """The first place whose running sum is above `wanted`, or the last one that adds to it: never a weight of zero."""
    return min(int(cumulative.searchsorted(wanted, "right")), int(cumulative.searchsorted(cumulative[-1], "left")))


def _likeliest(values_V: npt.NDArray[np.floating[Any]], k: int) -> Ids:
    """Places of the k largest, descending, ties by place, without sorting the rest.

    The values are dealt into columns; the k-th largest of the columns' best is at most the k-th largest of all, so
    what lies below it is out.
    """
    dealt = len(values_V) - len(values_V) % COLUMNS
    few = values_V
    if dealt >= 4 * COLUMNS and k <= COLUMNS // 2:
        few = values_V[:dealt].reshape(-1, COLUMNS).max(axis=0)
    bound = np.partition(few, -k)[-k]
    places = np.flatnonzero(values_V >= bound)
    return places[np.argsort(-values_V[places], kind="stable")][:k]


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
    return prompt_logprobs(logits_V[None], [token], num_top)[0]


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
