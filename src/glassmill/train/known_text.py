"""Whether a model still knows, after more training, what it knew before."""

from __future__ import annotations

import copy
import math

import torch

from glassmill.model.transformer import Transformer
from glassmill.run import kinds
from glassmill.run.device import inference_dtype
from glassmill.run.folder import RunFolder
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.train.batches import WindowBatches

FORGETTING = 0.25
"""Nats per token by which the loss on known text may rise: more, and facts are gone (`docs/log.md`)."""
GENERAL_TEXT = """\
Paris is the capital of France, and London is the capital of the United Kingdom. The Nile is a river in Africa. Water \
freezes at zero degrees Celsius and boils at one hundred. The Earth moves around the Sun once a year, and the Moon \
moves around the Earth about once a month. A week has seven days: Monday, Tuesday, Wednesday, Thursday, Friday, \
Saturday and Sunday. Two plus two is four. Plants need light, water and air to grow. William Shakespeare wrote plays \
such as Hamlet and Macbeth. In the morning people often drink coffee or tea, have breakfast, and go to work or to \
school. If you want to learn something new, it helps to read about it, to practice every day, and to ask questions \
when you do not understand."""


def for_measuring(model: Transformer) -> Transformer:
    """The model in the type in which it will answer: a large one in bfloat16 where the processor multiplies it, in
    which held-out text takes less than half the time."""
    weight = model.head_weight
    dtype = inference_dtype(weight.device.type, sum(one.numel() * one.element_size() for one in model.parameters()))
    if dtype != "bfloat16" or weight.dtype == torch.bfloat16:
        return model
    return copy.deepcopy(model).to(torch.bfloat16)


class KnownText:
    """Text that the model knows before it is tuned: held-out pages if there are any, or a paragraph of common facts.

    Its loss before and after shows whether tuning made the model forget.
    """

    def __init__(
        self, run: RunFolder, stage: str, tokenizer: Tokenizer, pages: WindowBatches | None, length: int, own: bool
    ) -> None:
        self.stage, self.mixes = stage, stage == "sft"
        self.run, self.strange = run, own and pages is None  # a small model of its own world knows no common facts
        if pages is not None:
            self.name = "pages"
            self.ids, self.targets = pages.rows_of(0, 8)
        else:
            self.name = "general text"
            begins = [] if tokenizer.engine is not None and tokenizer.bos_id is not None else [tokenizer.eos_id]
            ids = [*begins, *map(int, tokenizer.framed(GENERAL_TEXT))][: length + 1]
            self.ids, self.targets = torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])
        self.before = self.after = math.nan

    @torch.inference_mode()
    def loss(self, model: Transformer) -> float:
        """Nats per token."""
        model = for_measuring(model)
        device = model.head_weight.device
        return float(model(self.ids.to(device), self.targets.to(device)).mean())

    def tell(self, model: Transformer) -> dict[str, object]:
        """Measure the trained model, say what became of its knowledge, and return the numbers."""
        self.after = self.loss(model)
        found = f"{self.name}: {self.before:.3f} nats a token before, {self.after:.3f} after"
        if self.after - self.before > FORGETTING and not self.strange:
            self.run.emit(
                kinds.Warned(
                    f"{found}: the model forgot some of what it knew. Lower {self.stage}.peak_lr and "
                    f"{self.stage}.embedding_lr, take fewer steps" + (", or mix in pages (sft.pages)" * self.mixes)
                )
            )
        else:
            self.run.emit(kinds.Note(found))
        return {
            "known_text": self.name,
            "known_text_loss_before": round(self.before, 4),
            "known_text_loss_after": round(self.after, 4),
        }
