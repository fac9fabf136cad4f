"""Muon for the blocks' matrices, AdamW for embeddings, head and gains.

Muon (Jordan et al. 2024) steps along the orthogonal matrix nearest to the momentum, so every direction learns at the
same rate; `orthogonal` finds it. Queries, keys, values and outputs are taken head by head: a head is what works on its
own, and 6 matrices of 64 rows cost a twentieth of one of 384. The feed-forward layers of a wide model are taken in
groups of neurons: 8 matrices of 128 rows cost a third of one of 384, and the model learns no worse (`docs/log.md`).

NorMuon (Li et al. 2025, arXiv 2510.05491) evens the step out: a neuron whose updates have been longer than others' gets
shorter ones, by a running mean of their squares, and the step keeps its length. The neurons are those along the longer
side of a block, so the mean is a row of C numbers.

    G blocks of one shape, R rows <= C columns
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from glassmill.train.orthogonal import orthogonalise

MOST_NEURONS = 128
"""Of a feed-forward layer, orthogonalised together."""


class Optimizer:
    """One step over all trained parameters of a model, and its state as named tensors.

    Frozen parameters are left out. The two matrices of an adapter (`lora_A`, `lora_B`) belong to AdamW, at the rate of
    the embeddings: their product is what moves, and Muon's step for each would say nothing about it.

    Args:
        model: Parameters with Hugging Face names; frozen before, not after.
        kind: `"muon"`, or `"adamw"` to use AdamW for the matrices too (for small steps on a finished model).
        weight_decay: Share of a weight that a step at learning rate 1 removes; matrices only. Muon decays a weight only
            where the update points towards zero too (cautious decay).
        head_dim: Channels of a head.
        dtype: Of Muon's matrix products; weights, momentum and AdamW's state are float32.
        normuon_beta2: How slowly NorMuon's second moments move; 0: plain Muon.
    """

    def __init__(
        self,
        model: nn.Module,
        kind: str,
        momentum: float,
        weight_decay: float,
        head_dim: int,
        betas: tuple[float, float] = (0.9, 0.95),
        dtype: torch.dtype = torch.float32,
        normuon_beta2: float = 0.0,
    ) -> None:
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        matrices = {name: p for name, p in named.items() if is_matrix(name, p)}
        others = {name: p for name, p in named.items() if name not in matrices}
        self.muon = Muon(matrices if kind == "muon" else {}, momentum, weight_decay, head_dim, dtype, normuon_beta2)
        self.adamw = [AdamW(others, betas, 0.0)]
        if kind == "adamw":
            self.adamw.append(AdamW(matrices, betas, weight_decay))

    def step(self, matrix_lr: float, other_lr: float) -> None:
        """Apply the gradients in `parameter.grad`."""
        for adamw, rate in zip(self.adamw, (other_lr, matrix_lr), strict=False):
            adamw.step(rate)
        self.muon.step(matrix_lr)

    def state(self) -> dict[str, Tensor]:
        """All state, for a checkpoint."""
        tensors = self.muon.state()
        for adamw in self.adamw:
            for name, entries in adamw.state.items():
                tensors |= {f"adamw.{name}.{key}": value for key, value in entries.items()}
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for key, buffer in self.muon.state().items():
            buffer.copy_(tensors[key])
        for adamw in self.adamw:
            for name, parameter in adamw.parameters.items():
                adamw.state.pop(name, None)
                if f"adamw.{name}.step" in tensors:
                    saved = {key: tensors[f"adamw.{name}.{key}"] for key in AdamW.STATE}
                    adamw.state[name] = {key: value.to(parameter.device) for key, value in saved.items()}


class AdamW:
    """Adam with decay apart from the gradient (Loshchilov and Hutter 2019, arXiv 1711.05101), by torch's fused kernel.

    Its numbers are those of `torch.optim.AdamW(fused=True, eps=1e-10)`, whose class imports torch's whole compiler: a
    second before the first step.
    """

    STATE = ("step", "exp_avg", "exp_avg_sq")

    def __init__(self, parameters: Mapping[str, Tensor], betas: tuple[float, float], weight_decay: float) -> None:
        self.parameters, self.betas, self.weight_decay = dict(parameters), betas, weight_decay
        self.state: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step of every parameter that has a gradient; its state is made with the first."""
        named = {name: p for name, p in self.parameters.items() if p.grad is not None}
        for name, p in named.items():
            if name not in self.state:
                zeros = (torch.zeros((), device=p.device), torch.zeros_like(p), torch.zeros_like(p))
                self.state[name] = dict(zip(self.STATE, zeros, strict=True))
        if not named:
            return
        steps, means, squares = ([self.state[name][key] for name in named] for key in self.STATE)
        torch._foreach_add_(steps, 1.0)
        torch._fused_adamw_(
            list(named.values()),
            [_gradient(p) for p in named.values()],
            means,
            squares,
            [],
            steps,
            lr=lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=1e-10,
            amsgrad=False,
            maximize=False,
        )


class Muon:
    """Momentum, orthogonalised, for blocks stacked by shape.

    A block's step has the length that its share of the whole matrix's step would have: the rate times
    `max(1, outputs / inputs) ** 0.5` for a matrix that is one block.

    Attributes:
        momenta: The blocks of each matrix by its name, `(G, R, C)`: views of one stack for every shape.
        squares: The same of NorMuon's means, `(G, 1, C)`; empty without it.
    """

    def __init__(
        self,
        matrices: Mapping[str, Tensor],
        momentum: float,
        weight_decay: float,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        normuon_beta2: float = 0.0,
    ) -> None:
        self.momentum, self.weight_decay, self.dtype, self.head_dim = momentum, weight_decay, dtype, head_dim
        self.normuon_beta2 = normuon_beta2
        self.groups: dict[tuple[int, int], dict[str, Tensor]] = {}
        self.stacks: dict[tuple[int, int], Tensor] = {}
        self.momenta: dict[str, Tensor] = {}
        self.square_stacks: dict[tuple[int, int], Tensor] = {}
        self.squares: dict[str, Tensor] = {}
        for name, matrix in matrices.items():
            _, rows, columns = blocks(name, matrix, head_dim).shape
            self.groups.setdefault((rows, columns), {})[name] = matrix
        for shape, group in self.groups.items():
            counts = [len(blocks(name, matrix, head_dim)) for name, matrix in group.items()]
            device = next(iter(group.values())).device
            self.stacks[shape] = torch.zeros(sum(counts), *shape, device=device)
            self.momenta |= dict(zip(group, torch.split(self.stacks[shape], counts), strict=True))
            if normuon_beta2:
                self.square_stacks[shape] = torch.zeros(sum(counts), 1, shape[1], device=device)
                self.squares |= dict(zip(group, torch.split(self.square_stacks[shape], counts), strict=True))

    def state(self) -> dict[str, Tensor]:
        """All buffers by name, to read and to write."""
        momenta = {f"muon.{name}": buffer for name, buffer in self.momenta.items()}
        return momenta | {f"muon.{name}.squares": buffer for name, buffer in self.squares.items()}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One Nesterov step of every matrix."""
        for shape, group in self.groups.items():
            gradients = torch.cat([blocks(name, _gradient(matrix), self.head_dim) for name, matrix in group.items()])
            momenta = self.stacks[shape].lerp_(gradients, 1 - self.momentum)
            updates = orthogonalise(gradients.lerp_(momenta, self.momentum), self.dtype)
            if self.normuon_beta2:
                normalise_neurons(updates, self.square_stacks[shape], self.normuon_beta2)
            parts = torch.split(updates, [len(self.momenta[name]) for name in group])
            for (name, matrix), update in zip(group.items(), parts, strict=True):
                weight = blocks(name, matrix, self.head_dim)
                if self.weight_decay:
                    weight.mul_(1 - lr * self.weight_decay * (update * weight > 0))
                weight.add_(update, alpha=-lr * step_length(matrix, weight))


def normalise_neurons(updates_GRC: Tensor, squares_G1C: Tensor, beta: float) -> None:
    """Divide every column by the root of the running mean of its squared length, in place; a block keeps its own."""
    squared_GRC = updates_GRC.to(torch.float32, copy=True)
    now = squared_GRC.mul_(squared_GRC).sum(-2, keepdim=True)
    scale = squares_G1C.lerp_(now, 1 - beta).clamp_min(1e-10).rsqrt_()
    length, after = now.sum(-1, keepdim=True), (now * scale.square()).sum(-1, keepdim=True)
    updates_GRC.mul_(scale.mul_((length / after.clamp_min(1e-30)).sqrt_()).to(updates_GRC.dtype))


def blocks(name: str, matrix: Tensor, head_dim: int) -> Tensor:
    """What of a matrix is orthogonalised together, as a view `(G, R, C)`: its heads, or all of it."""
    rows, columns = matrix.shape
    if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
        cut = matrix.view(rows // head_dim, head_dim, columns)
    elif name.endswith("o_proj.weight"):
        cut = matrix.view(rows, columns // head_dim, head_dim).transpose(0, 1)
    elif name.endswith("down_proj.weight"):
        size = neurons_together(columns, rows)
        cut = matrix.view(rows, columns // size, size).transpose(0, 1)
    else:
        size = neurons_together(rows, columns)
        cut = matrix.view(rows // size, size, columns)
    return cut if cut.shape[1] <= cut.shape[2] else cut.mT


def neurons_together(neurons: int, width: int) -> int:
    """How many neurons of a feed-forward layer are orthogonalised together; all, where groups would cost more."""
    sizes = [size for size in range(MOST_NEURONS // 2, MOST_NEURONS + 1) if neurons % size == 0]
    return sizes[-1] if sizes and width >= 2 * sizes[-1] else neurons


def step_length(matrix: Tensor, its_blocks: Tensor) -> float:
    """Length of the step of a block at rate 1, in units of an orthogonal matrix."""
    outputs, inputs = matrix.shape
    return math.sqrt(max(1.0, outputs / inputs) * min(outputs, inputs) / (its_blocks.shape[0] * its_blocks.shape[1]))


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether this parameter is a matrix of a block, Muon's kind, and none of an adapter."""
    return ".layers." in name and parameter.ndim == 2 and ".lora_" not in name
