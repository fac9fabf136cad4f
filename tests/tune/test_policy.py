"""The numbers of the policy's gradient are those of the plain loss under autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from glassmill.tune.policy import advantages, counted

LOW, HIGH = 0.2, 0.28


def plain_loss(
    now: Tensor,
    old: Tensor,
    better: Tensor,
    mask: Tensor,
    reference: Tensor | None,
    kl: float,
    clip: tuple[float, float],
) -> Tensor:
    """DAPO's loss, token by token, as the paper writes it; with the penalty of GRPO's eq. 4."""
    total, number = torch.zeros((), dtype=now.dtype), 0
    for row in range(len(now)):
        for place in range(now.shape[1]):
            if not mask[row, place]:
                continue
            number += 1
            ratio = torch.exp(now[row, place] - old[row, place])
            clipped = torch.clamp(ratio, 1 - clip[0], 1 + clip[1])
            total = total - torch.min(ratio * better[row], clipped * better[row])
            if reference is not None:
                apart = reference[row, place] - now[row, place]
                total = total + kl * (torch.exp(apart) - apart - 1)
    return total / number


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kl", [0.0, 0.3])
def test_the_weights_are_minus_the_derivative_of_the_plain_loss(seed: int, kl: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    now = (-3 * torch.rand(5, 7, generator=chance, dtype=torch.float64)).requires_grad_()
    old = now.detach() + 1.6 * (torch.rand(now.shape, generator=chance, dtype=torch.float64) - 0.5)
    reference = now.detach() + torch.randn(now.shape, generator=chance, dtype=torch.float64) if kl else None
    better = torch.randn(5, generator=chance, dtype=torch.float64)
    mask = (torch.rand(now.shape, generator=chance) < 0.6).double()
    loss = plain_loss(now, old, better, mask, reference, kl, (LOW, HIGH))
    (slope,) = torch.autograd.grad(loss, now)
    found = counted(now.detach(), old, better, mask, (LOW, HIGH), reference, kl)
    assert found.loss == pytest.approx(float(loss.detach()), abs=1e-12)
    torch.testing.assert_close(found.weights_BT, -slope, rtol=1e-9, atol=1e-12)
    assert 0 < found.clipped < 1


@pytest.mark.parametrize(
    ("ratio", "better", "counts"),
    [(1.27, 1, True), (1.29, 1, False), (0.5, 1, True), (0.81, -1, True), (0.79, -1, False), (1.5, -1, True)],
)
def test_a_token_counts_no_more_once_it_moved_far_enough_the_right_way(ratio: float, better: int, counts: bool) -> None:
    now = torch.log(torch.tensor([[ratio]]))
    found = counted(now, torch.zeros(1, 1), torch.tensor([float(better)]), torch.ones(1, 1), (LOW, HIGH))
    assert bool(found.weights_BT.any()) is counts
    assert found.clipped == (0.0 if counts else 1.0)


def test_the_mean_is_over_tokens_so_a_long_answer_counts_as_much_as_its_tokens() -> None:
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    zero = torch.zeros(2, 3)
    found = counted(zero, zero, torch.tensor([1.0, -1.0]), mask)
    assert found.weights_BT.tolist() == [[0.25, 0.0, 0.0], [-0.25, -0.25, -0.25]]
    assert found.loss == 0.5


def test_what_the_model_did_not_choose_counts_nothing_whatever_its_numbers() -> None:
    now = torch.tensor([[0.0, 200.0, -torch.inf]])
    found = counted(now, torch.zeros(1, 3), torch.tensor([-1.0]), torch.tensor([[1.0, 0.0, 0.0]]))
    assert found.weights_BT.tolist() == [[-1.0, 0.0, 0.0]]
    assert found.loss == 1.0


def test_a_group_is_compared_with_itself() -> None:
    better = advantages([1.0, 0.0, 0.0, 0.0])
    assert better is not None
    assert better.tolist() == pytest.approx([3**0.5, *[-(3**-0.5)] * 3])
    shifted = advantages([7.0, 5.0, 5.0, 5.0])
    assert shifted is not None and np.allclose(better, shifted)
    assert advantages([1.0, 1.0]) is None and advantages([0.0] * 8) is None
