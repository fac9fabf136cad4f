"""The small parts: embedding, linear map, norm.

`Embedding` and `Linear` are PyTorch's, except that they draw no random numbers on the device "meta", where a model
waits for the weights of a file: that would change nothing, and import PyTorch's whole compiler (two seconds).
RMSNorm: arXiv 1910.07467, eq. 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Embedding(nn.Embedding):
    """`nn.Embedding`."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            super().reset_parameters()


class Linear(nn.Linear):
    """`nn.Linear`."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            super().reset_parameters()


class RMSNorm(nn.Module):
    """Divide every vector by its root mean square, then scale every channel."""

    def __init__(self, num_channels: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Any shape `(..., num_channels)`; statistics in float32, as transformers computes them."""
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight * scaled.to(x.dtype)
