"""The verb `dpo`: a tuned model and pairs of a better and a worse answer -> a model that answers like the better ones.

No reward is learned and nothing is drawn (`preferences`). The loop, its checkpoints and its promises are those of
`train`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from glassmill.errors import UserError
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import DpoSettings
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.tokens.chat import render_with_mask
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.deadline import Deadline
from glassmill.train.loop import fit
from glassmill.train.objective import check_alone
from glassmill.train.order import permuted
from glassmill.train.plan import set_up
from glassmill.train.rates import preferring
from glassmill.tune.before import start_of
from glassmill.tune.dpo_facts import VERSION, resolved
from glassmill.tune.model import fresh, publish
from glassmill.tune.packing import Rendered, pages_of
from glassmill.tune.pairs import Pair, read_pairs
from glassmill.tune.preferences import Preferences, RenderedPair, answer_logprobs

__all__ = ["VERSION", "make", "resolved"]

MOST_HELD_OUT = 256


def make(
    run: RunFolder, settings: DpoSettings, seed: int, base: Path | None = None, tokens: Path | None = None
) -> None:
    """Train the model on preference pairs, and publish it.

    Raises:
        UserError: no model, no pairs, a row that is no pair, none that fits, a run that was started with another type
            of products, or one that diverged.
    """
    deadline = Deadline(settings.minutes)
    settings = settings.model_copy(update={"seed": seed})
    start = start_of("dpo", settings.base, base, run.path.parent.parent, "sft")
    settings = preferring(settings, start.meta)
    setup = set_up(settings, start.config.d_model)
    check_alone("dpo", setup, settings.dropout)
    longest = min(settings.length or start.config.context_length, start.config.context_length)
    pairs = _rendered(run, start.tokenizer, list(read_pairs(settings.pairs)), longest)
    order = [permuted(place, len(pairs), seed, -1) for place in range(len(pairs))]
    num_held_out = min(int(len(pairs) * settings.held_out), MOST_HELD_OUT)
    pairs = [pairs[number] for number in order]
    length = max(len(side.ids) for pair in pairs for side in pair)
    steps = settings.steps or math.ceil(settings.epochs * (len(pairs) - num_held_out) / settings.batch_pairs)
    settings = settings.model_copy(update={"steps": max(1, steps)})

    run.emit(kinds.Note(f"what the model makes of {len(pairs):,} pairs before it learns from them"))
    pad_id, micro = start.tokenizer.eos_id, settings.micro_batch_tokens
    fresh_model = partial(fresh, start, settings, setup, seed)
    reference_N2 = answer_logprobs(fresh_model(), pairs, length, pad_id, setup, micro)

    def preferences(first: int, end: int) -> Preferences:
        return Preferences(
            pairs[first:end],
            reference_N2[first:end],
            settings.batch_pairs,
            length,
            pad_id,
            settings.beta,
            settings.sft,
            seed,
            micro,
            pages,
            settings.pages,
        )

    pages = pages_of(start, tokens, settings.batch_pairs, length, seed, "dpo") if settings.pages else None
    learned = preferences(num_held_out, len(pairs))
    reporter = Reporter(run, preferences(0, num_held_out) if num_held_out else None, learned)
    run.emit(
        kinds.Note(
            f"{len(learned.pairs):,} pairs to learn from, {num_held_out:,} held out, {learned.batch_pairs} in a step; "
            f"{settings.optimizer}, dpo.peak_lr = {settings.peak_lr:g}"
        )
    )
    trained = fit(run, fresh_model, learned, settings, setup, reporter, deadline)
    assert trained is not None
    model, plan = trained
    publish(run, start, settings, model, {"steps": plan.steps, "seed": seed})
    run.finish(
        {
            "parameters": num_parameters(start.config),
            "steps": plan.steps,
            "pairs": len(learned.pairs),
            "held_out": num_held_out,
            **reporter.scores,
        }
    )


class Reporter:
    """What the model makes of held-out pairs; of a few that are learned where none are held out.

    Attributes:
        scores: The last ones.
    """

    tokens = 0

    def __init__(self, run: RunFolder, held_out: Preferences | None, learned: Preferences) -> None:
        self.run, self.measured, self.learned = run, held_out or learned, learned
        self.name = "held_out" if held_out else "learned"
        self.scores: dict[str, float] = {}

    def report(self, model: Transformer, step: int) -> float | None:
        """Emit loss, share of pairs where the chosen answer is preferred, and mean margin."""
        self.measured.setup = self.learned.setup
        found = self.measured.judged(model, range(min(len(self.measured.pairs), MOST_HELD_OUT)))
        self.scores = {
            f"{self.name}_loss": round(found.loss, 5),
            f"{self.name}_accuracy": round(found.accuracy, 4),
            f"{self.name}_margin": round(float(found.margins_P.mean()), 4),
            f"{self.name}_chosen_nats": round(found.nats, 4),
        }
        for name, value in self.scores.items():
            self.run.emit(kinds.Score(name, value, step))
        return found.loss

    def sample(self, model: Transformer, step: int) -> None:
        """Nothing: what is preferred shows in answers of the finished model."""


def _rendered(
    run: RunFolder, tokenizer: Tokenizer, placed: Sequence[tuple[Pair, str]], longest: int
) -> list[RenderedPair]:
    """The pairs as ids; those that are too long are left out, and counted.

    Raises:
        UserError: none is left, or the model's template refuses one.
    """
    if not placed:
        raise UserError("dpo has no pairs; set dpo.pairs to files of preference pairs, such as JSONL")
    fitting, too_long = [], list[str]()
    for pair, place in placed:
        try:
            sides = [
                Rendered(*render_with_mask(tokenizer, messages, learned=pair.learned(messages)))
                for messages in (pair.chosen, pair.rejected)
            ]
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        if max(len(side.ids) for side in sides) > longest or not all(side.mask.any() for side in sides):
            too_long.append(place)
        else:
            fitting.append(RenderedPair(*sides))
    if too_long:
        told = f"{len(too_long)} of {len(placed)} pairs are longer than {longest} tokens, or have an empty answer"
        if not fitting:
            raise UserError(f"dpo has nothing to learn: {told}")
        run.emit(kinds.Warned(f"{told}: they are left out; the first is {too_long[0]}"))
    return fitting
