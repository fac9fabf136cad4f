"""The numbers of a group-relative policy gradient: advantages, and what every token counts in a step.

An answer is compared with the other answers to the same question (GRPO: Shao et al. 2024, arXiv 2402.03300, section
4.1). The loss is a mean over tokens, not over answers, and the two sides are clipped differently (DAPO: Yu et al. 2025,
arXiv 2503.14476, sections 3.1 and 3.3). The penalty for leaving a reference is Schulman's third estimator.

    G answers to a question, B answers of a batch, T positions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from glassmill.infer.sampling import Floats

LEAST_SPREAD = 1e-6
"""Standard deviation of rewards below which a group's answers are equally good."""


class Counted(NamedTuple):
    """What a batch's tokens count.

    Attributes:
        weights_BT: Of the nats of every token in a step: minus the derivative of the loss by its log-probability.
        loss: The value of the loss.
        clipped: Share of the learned tokens whose gradient is cut off.
    """

    weights_BT: Tensor
    loss: float
    clipped: float


def advantages(rewards_G: Sequence[float]) -> Floats | None:
    """How much better than its group each answer is, in standard deviations `(G,)`; None where all are equally good."""
    rewards = np.array(rewards_G, dtype=np.float64)
    spread = rewards.std()
    if spread < LEAST_SPREAD:
        return None
    better: Floats = ((rewards - rewards.mean()) / spread).astype(np.float32)
    return better


def counted(
    now_BT: Tensor,
    old_BT: Tensor,
    advantages_B: Tensor,
    mask_BT: Tensor,
    clip: tuple[float, float] = (0.2, 0.28),
    reference_BT: Tensor | None = None,
    kl: float = 0.0,
) -> Counted:
    """The weights of a step, for answers drawn from the model that `old_BT` are the log-probabilities of.

    Args:
        now_BT: Log-probabilities of the model that takes the step.
        advantages_B: Of the answers.
        mask_BT: 1 where the model chose the token; 0 in prompts, in the calculator's results, in padding.
        clip: By how much a token may become less and more likely before it counts no more.
        reference_BT: Log-probabilities of the model to stay close to, for `kl`.
    """
    ratio_BT = torch.exp(now_BT - old_BT)
    advantage_BT = advantages_B[:, None]
    low, high = clip
    is_cut = torch.where(advantage_BT > 0, ratio_BT > 1 + high, ratio_BT < 1 - low)
    gain_BT = torch.minimum(ratio_BT * advantage_BT, ratio_BT.clamp(1 - low, 1 + high) * advantage_BT)
    slope_BT = torch.where(is_cut, 0.0, ratio_BT * advantage_BT)
    if reference_BT is not None and kl:
        apart_BT = reference_BT - now_BT
        gain_BT = gain_BT - kl * (torch.exp(apart_BT) - apart_BT - 1)
        slope_BT = slope_BT - kl * (1 - torch.exp(apart_BT))
    num_tokens = mask_BT.sum().clamp_min(1)
    # masked by `where`: the ratio of a token that was never drawn may be infinite, and infinity times 0 is no number
    weights_BT = torch.where(mask_BT > 0, slope_BT, 0.0) / num_tokens
    loss = -float(torch.where(mask_BT > 0, gain_BT, 0.0).sum() / num_tokens)
    return Counted(weights_BT, loss, float((is_cut * mask_BT).sum() / num_tokens))
