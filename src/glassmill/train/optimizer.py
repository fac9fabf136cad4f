"""Muon for the blocks' matrices, AdamW for embeddings, head and gains.

Muon (Jordan et al. 2024) steps along the orthogonal matrix nearest to the momentum, so every direction learns at the
same rate. Polar Express (Amsel et al. 2025, arXiv 2505.16932, algorithm 1) finds that matrix by products alone.
Matrices of one shape are multiplied as a batch; a tall matrix is handled as its transpose.

    G matrices of one shape, R rows <= C columns
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
"""Coefficients of the five odd polynomials, best for singular values from 1e-3 to 1."""


def orthogonalise(matrices_GRC: Tensor) -> Tensor:
    """The matrices with every singular value brought near 1 (between about 0.7 and 1.2); R <= C."""
    X: Tensor = matrices_GRC / (matrices_GRC.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-7)
    for a, b, c in POLAR_EXPRESS:
        A = torch.bmm(X, X.mT)
        B = torch.baddbmm(A, A, A, beta=b, alpha=c)
        X = torch.baddbmm(X, B, X, beta=a)
    return X


class Optimizer:
    """One step over all trained parameters of a model, and its state as named tensors.

    Frozen parameters are left out. The two matrices of an adapter (`lora_A`, `lora_B`) belong to AdamW, at the rate of
    the embeddings: their product is what moves, and Muon's step for each would say nothing about it.

    Args:
        model: Parameters with Hugging Face names; frozen before, not after.
        kind: `"muon"`, or `"adamw"` to use AdamW for the matrices too (for small steps on a finished model).
        weight_decay: Share of a weight that a step at learning rate 1 removes; matrices only. Muon decays a weight only
            where the update points towards zero too (cautious decay).
    """

    def __init__(
        self,
        model: nn.Module,
        kind: str,
        momentum: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.95),
    ) -> None:
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        matrices = {name: p for name, p in named.items() if ".layers." in name and p.ndim == 2 and ".lora_" not in name}
        others = [p for name, p in named.items() if name not in matrices]
        groups = [{"params": others, "weight_decay": 0.0}]
        if kind == "adamw":
            groups.append({"params": list(matrices.values()), "weight_decay": weight_decay})
        self.muon = Muon(matrices.values() if kind == "muon" else [], momentum, weight_decay)
        self.adamw = torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=1e-10, fused=True)
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in named.items()}

    def step(self, matrix_lr: float, other_lr: float) -> None:
        """Apply the gradients in `parameter.grad`."""
        rates = (other_lr, matrix_lr)
        for group, rate in zip(self.adamw.param_groups, rates[: len(self.adamw.param_groups)], strict=True):
            group["lr"] = rate
        self.adamw.step()
        self.muon.step(matrix_lr)

    def state(self) -> dict[str, Tensor]:
        """All state, for a checkpoint."""
        tensors = {f"muon.{key}": buffer for key, buffer in self.muon.momenta.items()}
        for parameter, entries in self.adamw.state.items():
            tensors |= {f"adamw.{self.names[parameter]}.{key}": value for key, value in entries.items()}
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for key, buffer in self.muon.momenta.items():
            buffer.copy_(tensors[f"muon.{key}"])
        for group in self.adamw.param_groups:
            for parameter in group["params"]:
                prefix = f"adamw.{self.names[parameter]}."
                entries = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
                self.adamw.state[parameter] = {
                    key: value if key == "step" else value.to(parameter.device) for key, value in entries.items()
                }


class Muon:
    """Momentum, orthogonalised, for matrices stacked by shape."""

    def __init__(self, matrices: Iterable[Tensor], momentum: float, weight_decay: float) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        self.groups: dict[str, list[Tensor]] = {}
        self.momenta: dict[str, Tensor] = {}
        for matrix in matrices:
            rows, columns = sorted(matrix.shape)
            self.groups.setdefault(f"{rows}x{columns}", []).append(matrix)
        for key, group in self.groups.items():
            rows, columns = sorted(group[0].shape)
            self.momenta[key] = torch.zeros(len(group), rows, columns, device=group[0].device)

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One Nesterov step of every matrix; longer for a matrix with more outputs than inputs."""
        for key, group in self.groups.items():
            gradients = torch.stack([_wide(_gradient(matrix)) for matrix in group]).float()
            momenta = self.momenta[key]
            momenta.lerp_(gradients, 1 - self.momentum)
            updates = orthogonalise(gradients.lerp_(momenta, self.momentum))
            for matrix, update in zip(group, updates, strict=True):
                wide = _wide(matrix)
                if self.weight_decay:
                    wide.mul_(1 - lr * self.weight_decay * (update * wide > 0))
                wide.add_(update, alpha=-lr * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)


def _wide(matrix: Tensor) -> Tensor:
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
