"""The objective of `dpo`: the better answer of a pair is to become likelier than the worse one, against a reference.

    margin = beta ((log p(chosen) - log q(chosen)) - (log p(rejected) - log q(rejected))),  loss = - log sigmoid(margin)

p is the model, q the model that it started from (Rafailov et al. 2023, arXiv 2305.18290, eq. 7). What q says of the
pairs never changes, so it is computed once and q is not kept. `sft` adds the nats a token of the better answer, which
keeps it likely in itself (Pang et al. 2024, arXiv 2404.19733, eq. 1).

    P pairs of a batch, B = 2 P rows, the chosen ones first, T positions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from glassmill.model.transformer import Transformer
from glassmill.train.batches import Windows
from glassmill.train.gradients import Batch
from glassmill.train.objective import Objective, logprobs
from glassmill.train.order import permuted
from glassmill.train.plan import Setup
from glassmill.tune.packing import Rendered, in_rows


class RenderedPair(NamedTuple):
    """A pair as ids, with True where the answers are."""

    chosen: Rendered
    rejected: Rendered


class Judged(NamedTuple):
    """What a model makes of pairs.

    Attributes:
        margins_P: How much it prefers the chosen answers, more than its reference does.
        nats: Of a token of a chosen answer, on average over the answers.
    """

    margins_P: Tensor
    nats: float

    @property
    def loss(self) -> float:
        """Of the preference alone."""
        return float(-F.logsigmoid(self.margins_P).mean())

    @property
    def accuracy(self) -> float:
        """Share of the pairs of which it prefers the chosen answer; an undecided one counts a half."""
        return float((torch.sign(self.margins_P) / 2 + 0.5).mean())


class Preferences(Objective):
    """Batches of pairs, with the weights of the preference's gradient.

    Args:
        pairs: What is learned.
        reference_N2: What the model to start from makes of both answers of every pair, see `answer_logprobs`.
        batch_pairs: Pairs in a step.
        length: Tokens of the longest conversation.
        pad_id: Fills rows up.
        beta, sft: See above.
        seed: Of the order.
        pages, pages_weight: See `Objective`.
    """

    def __init__(
        self,
        pairs: Sequence[RenderedPair],
        reference_N2: Tensor,
        batch_pairs: int,
        length: int,
        pad_id: int,
        beta: float,
        sft: float,
        seed: int,
        micro_batch_tokens: int,
        pages: Windows | None = None,
        pages_weight: float = 0.0,
    ) -> None:
        self.pages, self.pages_weight = pages, pages_weight
        self.pairs, self.reference_N2, self.pad_id = pairs, reference_N2, pad_id
        self.batch_pairs, self.length = min(batch_pairs, len(pairs)), length
        self.rows = 2 * self.batch_pairs + (pages.rows if pages else 0)
        self.beta, self.sft, self.seed, self.micro_batch_tokens = beta, sft, seed, micro_batch_tokens

    def own_batch(self, step: int) -> Batch:
        """The pairs of a step."""
        numbers = self.numbers(step)
        ids_BT, targets_BT, mask_BT = self.tensors(numbers)
        now_B2 = self._answers(self.model, ids_BT, targets_BT, mask_BT)
        judged = self._judged(now_B2, numbers, mask_BT)
        P = len(numbers)
        pull_P = self.beta * torch.sigmoid(-judged.margins_P) / P
        weights_BT = torch.cat((pull_P, -pull_P))[:, None] * mask_BT
        if self.sft:
            lengths_P = mask_BT[:P].sum(1, keepdim=True).clamp_min(1)
            weights_BT[:P] += self.sft / P * mask_BT[:P] / lengths_P
        self.loss = judged.loss + self.sft * judged.nats
        return Batch(ids_BT, targets_BT, weights_BT)

    def numbers(self, step: int) -> list[int]:
        """Which pairs a step learns from."""
        places = range(step * self.batch_pairs, (step + 1) * self.batch_pairs)
        size = len(self.pairs)
        return [permuted(place % size, size, self.seed, place // size) for place in places]

    def judged(self, model: Transformer, numbers: Sequence[int]) -> Judged:
        """What a model makes of the pairs of these numbers."""
        ids_BT, targets_BT, mask_BT = self.tensors(numbers)
        return self._judged(self._answers(model, ids_BT, targets_BT, mask_BT), numbers, mask_BT)

    def tensors(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, targets and mask `(B, T)` of both sides."""
        rendered = [self.pairs[n].chosen for n in numbers] + [self.pairs[n].rejected for n in numbers]
        return in_rows(rendered, self.length, self.pad_id)

    def _answers(self, model: Transformer, ids_BT: Tensor, targets_BT: Tensor, mask_BT: Tensor) -> Tensor:
        rows = max(1, self.micro_batch_tokens // self.length)
        return (logprobs(model, ids_BT, targets_BT, self.setup, rows) * mask_BT).sum(1)

    def _judged(self, now_B: Tensor, numbers: Sequence[int], mask_BT: Tensor) -> Judged:
        P = len(numbers)
        reference_P2 = self.reference_N2[list(numbers)]
        gains_P2 = torch.stack((now_B[:P], now_B[P:]), 1) - reference_P2
        nats = float((-now_B[:P] / mask_BT[:P].sum(1).clamp_min(1)).mean())
        return Judged(self.beta * (gains_P2[:, 0] - gains_P2[:, 1]), nats)


def answer_logprobs(
    model: Transformer, pairs: Sequence[RenderedPair], length: int, pad_id: int, setup: Setup, micro_batch_tokens: int
) -> Tensor:
    """The log-probability of both answers of every pair, `(N, 2)`."""
    rows = max(1, micro_batch_tokens // length)
    found = []
    for side in (0, 1):
        sums = []
        for first in range(0, len(pairs), rows):
            ids_BT, targets_BT, mask_BT = in_rows([pair[side] for pair in pairs[first : first + rows]], length, pad_id)
            sums.append((logprobs(model, ids_BT, targets_BT, setup, rows) * mask_BT).sum(1))
        found.append(torch.cat(sums))
    return torch.stack(found, 1)
