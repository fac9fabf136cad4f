"""`Optimizer` over several ranks: each takes the Muon step of some matrices and hands the new weights to the others.

Muon needs a matrix whole, AdamW works on any numbers. So every matrix of the blocks has one rank that owns it:

    ddp    gradients are whole everywhere; owners step, then broadcast their matrices
    fsdp   a rank has a part of every parameter: parts of gradients go to the owners, parts of new weights come back

The orthogonalisation and Muon's momenta are divided by the number of ranks. AdamW steps where the numbers are. The
steps themselves are `Optimizer`'s, which sees plain parameters. State is named by parameter, so that any number of
ranks can continue from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, distributed, nn

from glassmill.recipe import LoopSettings
from glassmill.train.boxes import box_of, part_of, read_part
from glassmill.train.checkpoint import Saved
from glassmill.train.optimizer import Optimizer, is_matrix
from glassmill.train.parts import Value
from glassmill.train.ranks import Ranks


class SharedOptimizer:
    """One step over all trained parameters of a model on `ranks`, and its state by name.

    Args:
        model: Plain, or after `parallel.wrap_fsdp`; not DDP's wrapper, but the model in it.
        settings, head_dim, dtype: Those of `Optimizer`.
        ranks: The processes that train the model.
    """

    def __init__(
        self, model: nn.Module, settings: LoopSettings, ranks: Ranks, head_dim: int, dtype: torch.dtype
    ) -> None:
        self.ranks, kind = ranks, settings.optimizer
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.sharded = any(hasattr(p, "to_local") for p in self.named.values())
        whole = [name for name in self.named if kind == "muon" and is_matrix(name, self.named[name])]
        shapes = [self.named[name].shape for name in whole]
        self.owned = [[whole[i] for i in some] for some in divided([r * c * min(r, c) for r, c in shapes], ranks.size)]
        self.mine = self._mine(set(whole))
        self.optimizer = Optimizer(
            _Named(self.mine),
            kind,
            settings.momentum,
            settings.weight_decay,
            head_dim,
            settings.adam_betas,
            dtype,
            settings.normuon_beta2,
        )
        if self.sharded:
            self._collect_weights()

    def step(self, matrix_lr: float, other_lr: float) -> None:
        """Apply the gradients in `parameter.grad`; afterwards all ranks have the same weights."""
        if self.sharded:
            self._bring_gradients()
        self.optimizer.step(matrix_lr, other_lr)
        if self.sharded:
            self._return_weights()
        elif self.ranks.size > 1:
            self._broadcast_weights()

    def state(self) -> dict[str, Value]:
        """This rank's share of the state, for a checkpoint: `muon.NAME` and `muon.NAME.squares` of its matrices,
        `adamw.NAME.KEY`."""
        found: dict[str, Value] = {}
        for key, tensor in self.optimizer.state().items():
            if key.startswith("muon."):
                found[key] = tensor
            elif tensor.ndim and self.sharded:
                found |= part_of(key, tensor, self.named[_parameter(key)], self.ranks)
            elif self.ranks.rank == 0:
                found[key] = tensor
        return found

    def load(self, saved: Saved) -> None:
        """Put back what as many or other ranks saved; the model has its saved weights already."""
        if self.sharded:
            self._collect_weights()
        tensors = {}
        for key, tensor in self.optimizer.state().items():
            if key.startswith("muon."):
                tensors[key] = saved.read("optimizer", key).to(tensor.device)
        for key in saved.names("optimizer"):
            if key.startswith("adamw.") and _parameter(key) in self.mine:
                tensors[key] = read_part(saved, "optimizer", key, self.named[_parameter(key)], self.ranks)
        self.optimizer.load_state(tensors)

    def _mine(self, whole: set[str]) -> dict[str, nn.Parameter]:
        """The parameters that this rank steps: its matrices whole; of the rest what it has."""
        owned = set(self.owned[self.ranks.rank])
        if not self.sharded:
            return {name: p for name, p in self.named.items() if name in owned or name not in whole}
        mine = {}
        for name, parameter in self.named.items():
            local = _local(parameter)
            if name in owned:
                mine[name] = nn.Parameter(local.new_empty(parameter.shape))
            elif name not in whole:
                mine[name] = nn.Parameter(local)
        return mine

    def _collect_weights(self) -> None:
        """Owners get their matrices as they are now."""
        self._exchange([[_local(self.named[name]) for name in names] for names in self.owned], self.mine)

    @torch.no_grad()
    def _bring_gradients(self) -> None:
        owned = set(self.owned[self.ranks.rank])
        gradients = {name: torch.empty_like(self.mine[name]) for name in owned}
        self._exchange([[_local_gradient(self.named[name]) for name in names] for names in self.owned], gradients)
        for name, parameter in self.mine.items():
            parameter.grad = gradients[name] if name in owned else _local_gradient(self.named[name])

    @torch.no_grad()
    def _exchange(self, parts: Sequence[Sequence[Tensor]], whole: Mapping[str, Tensor]) -> None:
        """This rank's `parts` of every owner's matrices, to the owners; `whole` takes the parts of this rank's own."""
        if any(self.owned):
            incoming = [list(self._parts_of(whole, rank)) for rank in range(self.ranks.size)]
            _all_to_all(parts, incoming)

    @torch.no_grad()
    def _return_weights(self) -> None:
        """The parts of new weights, from the owners to those who have them."""
        if any(self.owned):
            outgoing = [list(self._parts_of(self.mine, rank)) for rank in range(self.ranks.size)]
            _all_to_all(outgoing, [[_local(self.named[name]) for name in names] for names in self.owned])
            for name in self.owned[self.ranks.rank]:
                self.mine[name].grad = None

    def _parts_of(self, whole: Mapping[str, Tensor], rank: int) -> Iterator[Tensor]:
        """Of this rank's own matrices what another rank has."""
        for name in self.owned[self.ranks.rank]:
            yield whole[name].data[box_of(self.named[name], rank, self.ranks)]

    @torch.no_grad()
    def _broadcast_weights(self) -> None:
        for rank, names in enumerate(self.owned):
            weights = [self.named[name].data for name in names]
            if weights:
                buffer = torch.cat([weight.flatten() for weight in weights])
                distributed.broadcast(buffer, rank)
                if rank != self.ranks.rank:
                    _split_into(buffer, weights)


def divided(costs: Sequence[int], ranks: int) -> list[list[int]]:
    """Numbers of tasks for every rank, dearest first to the rank that has least.

    >>> divided([4, 1, 1, 2], 2)
    [[0], [3, 1, 2]]
    """
    shares, loads = [list[int]() for _ in range(ranks)], [0] * ranks
    for task in sorted(range(len(costs)), key=lambda task: -costs[task]):
        least = loads.index(min(loads))
        shares[least].append(task)
        loads[least] += costs[task]
    return shares


def _parameter(key: str) -> str:
    """The name in `adamw.NAME.KEY`."""
    return key.removeprefix("adamw.").rpartition(".")[0]


def _local(parameter: Tensor) -> Tensor:
    """This rank's part of a parameter, in place."""
    local: Tensor = parameter.to_local().detach()  # type: ignore[attr-defined]
    return local


def _local_gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return _local(parameter.grad)


def _all_to_all(outgoing: Sequence[Sequence[Tensor]], incoming: Sequence[Sequence[Tensor]]) -> None:
    """Send `outgoing[r]` to rank r, and fill `incoming[r]` with what rank r sends: one exchange for all."""
    like = next(part for some in (*outgoing, *incoming) for part in some)
    send = torch.cat([part.reshape(-1) for some in outgoing for part in some] or [like.new_empty(0)])
    sent, received = ([sum(part.numel() for part in some) for some in parts] for parts in (outgoing, incoming))
    buffer = send.new_empty(sum(received))
    distributed.all_to_all_single(buffer, send, received, sent)
    _split_into(buffer, [part for some in incoming for part in some])


def _split_into(buffer: Tensor, parts: Sequence[Tensor]) -> None:
    for part, values in zip(parts, torch.split(buffer, [part.numel() for part in parts]), strict=True):
        part.copy_(values.view(part.shape))


class _Named(nn.Module):
    """Parameters under names that no module has."""

    def __init__(self, named: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.named = named

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """As of a module."""
        return iter(self.named.items())
