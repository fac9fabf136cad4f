"""A model, its optimizer, and one step of both, on one process or on a rank of several.

B rows of a batch, T positions
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from glassmill.model.attention import documents_of
from glassmill.model.transformer import Transformer
from glassmill.recipe import LoopSettings
from glassmill.train import parallel
from glassmill.train.average import PREFIX, Average
from glassmill.train.boxes import part_of, read_part
from glassmill.train.checkpoint import Checkpoint, Saved
from glassmill.train.dropout import Dropout
from glassmill.train.gradients import Batch, make_gradients
from glassmill.train.health import Watch, gradient_norm, shorten
from glassmill.train.norms import Before, Norms
from glassmill.train.objective import Objective
from glassmill.train.parts import Value
from glassmill.train.plan import Setup
from glassmill.train.ranks import Ranks
from glassmill.train.schedule import Cut, learning_rate_factor, steps_known
from glassmill.train.shared_optimizer import SharedOptimizer


class Batches(Protocol):
    """Where a step's batch of `rows` rows of `length` tokens comes from; a pure function of the step.

    With an attribute `document_end`, attention starts anew at that id.
    """

    rows: int
    length: int

    def batch(self, step: int) -> Batch:
        """What a step reads, on all ranks together."""


class Trained(NamedTuple):
    """What a step did."""

    loss: float
    """Nats per token, before the step."""
    factor: float
    """Of the learning rates."""
    gradient_norm: float
    norms: Norms | None = None


class Trainer:
    """A model, its optimizer, and one step of both. All ranks call the methods together.

    Args:
        model: Whole, with the weights to start from. With FSDP2 those of rank 0 count, and others may be on "meta".
        batches: What the steps read.
        settings: Rates and schedule.
        setup: On what and how it computes.
        watch: Looks at losses and gradients.
        ranks: The processes that train it; `setup.parallel` says how.
    """

    def __init__(
        self,
        model: Transformer,
        batches: Batches,
        settings: LoopSettings,
        setup: Setup,
        watch: Watch | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.model, self.batches, self.settings, self.setup = model, batches, settings, setup
        self.ranks = ranks or Ranks()
        self.watch = watch or Watch("training", settings, model.config.vocab_size)
        self.dtype = setup.device.torch_dtype
        self.document_end: int | None = getattr(batches, "document_end", None)
        self.sharded = setup.parallel == "fsdp"
        self.skipped = 0
        """Batches that were left out: a step reads the batch of so many steps later."""
        whole = self.ranks.rank == 0 and (self.sharded or settings.average)
        self._empty = parallel.skeleton(model) if whole else None
        if settings.activation_checkpointing:
            parallel.recompute(model)
        self.dropout = Dropout(model, settings.dropout, settings.seed or 0) if settings.dropout else None
        self.wrapped = self._wrap()
        self.optimizer = SharedOptimizer(model, settings, self.ranks, model.config.head_dim, self.dtype)
        kept = self._trained() if self.sharded or self.ranks.rank == 0 else []
        weights = {name: parallel.whole_or_rows(p.detach()) for name, p in kept}
        self.average = Average(weights, settings.average) if settings.average else None
        self.objective = batches if isinstance(batches, Objective) else None
        if self.objective:
            self.objective.attach(model, setup)
        rows = math.ceil(batches.rows / self.ranks.replicas)
        self.gradients = make_gradients(
            self.wrapped,
            rows,
            batches.length,
            settings.micro_batch_tokens,
            self.dtype,
            setup.step,
            self.document_end,
        )

    def step(
        self, step: int, steps: int, cuts: Sequence[Cut] = (), measured: bool = False, factor: float | None = None
    ) -> Trained:
        """Take a step.

        Args:
            measured: With the norms of each group.
            factor: Of the rates; None: the schedule's.

        Raises:
            UserError, Spike: see `Watch.step`; the weights are those before the step.
        """
        if self.dropout:
            self.dropout.start(step, self.ranks.replica * math.ceil(self.batches.rows / self.ranks.replicas))
        loss = self.gradients(self.batch(step))
        loss = self.objective.loss if self.objective else loss
        norm = parallel.gradient_norm_over_ranks(self.model) if self.sharded else gradient_norm(self.model)
        self.watch.step(step + 1, cuts[-1][1] if cuts else steps, loss, norm)
        before = Before(self.model, self.sharded) if measured else None
        if 0 < self.settings.grad_clip < norm:
            shorten(self.model, self.settings.grad_clip / norm)
        settings = self.settings
        if factor is None:
            factor = learning_rate_factor(
                step, steps, settings.warmup_steps, settings.decay_share, cuts, settings.decay_floor
            )
        self.optimizer.step(factor * settings.peak_lr, factor * settings.embedding_lr)
        if self.average:
            self.average.add(step, steps_known(step, steps, cuts))
        return Trained(loss, factor, norm, before.after() if before else None)

    def batch(self, step: int) -> Batch:
        """This rank's rows of what a step reads. The order of rows is that of one process."""
        batch = self.batches.batch(step + self.skipped)
        return batch.share(self.ranks.replica, self.ranks.replicas) if self.ranks.size > 1 else batch

    @torch.no_grad()
    def loss_now(self, step: int) -> float:
        """Loss on what `step` reads, a micro-batch at a time, without learning from it; an objective's newest one."""
        if self.objective:
            return self.objective.loss
        rows = max(1, self.settings.micro_batch_tokens // self.batches.length)
        device = self.setup.device.torch_device
        total = torch.zeros((), device=device)
        for part in self.batch(step).micro_batches(rows):
            ids, targets, weights = (tensor.to(device) for tensor in part)
            documents = None if self.document_end is None else documents_of(ids, self.document_end)
            with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
                total += (self.model(ids, targets, None, documents) * weights).sum()
        if self.sharded:
            self.model.reshard()  # type: ignore[operator]  # a backward pass would have
        return float(parallel.readers(self.wrapped).sum(total))

    def whole_model(self) -> Transformer | None:
        """The model as rank 0 reports on it and publishes it, with averaged weights if there are any; None on other
        ranks."""
        average = self.average if self.average and self.average.count else None
        if self.sharded:
            with average.in_place() if average else nullcontext():
                return parallel.gathered(self.model, self._empty, self.setup.device.torch_device)
        if average and self._empty is not None:
            weights = {name: p.detach() for name, p in self.model.named_parameters()}
            return parallel.with_weights(self._empty, weights | {name: m.clone() for name, m in average.mean.items()})
        return self.model if self.ranks.rank == 0 else None

    def share(self, step: int, seconds: float) -> Checkpoint:
        """This rank's share of a checkpoint: what is trained, and the optimizer's state."""
        weights: dict[str, Value] = {}
        for name, parameter in self._trained():
            if self.sharded:
                weights |= part_of(name, parallel.whole_or_rows(parameter), parameter, self.ranks)
            elif self.ranks.rank == 0:
                weights[name] = parameter
        return Checkpoint(step, weights, self.optimizer.state() | self._average_state(), seconds)

    @torch.no_grad()
    def load(self, saved: Saved) -> None:
        """Continue from a checkpoint, written by any number of ranks."""
        for name, parameter in self._trained():
            parallel.whole_or_rows(parameter).copy_(read_part(saved, "weights", name, parameter, self.ranks))
        self.optimizer.load(saved)
        if self.average:
            self.average.load(saved, lambda key: read_part(saved, "optimizer", key, self._parameter(key), self.ranks))

    def _average_state(self) -> dict[str, Value]:
        """This rank's share of the averaged weights."""
        state: dict[str, Value] = {}
        for key, tensor in self.average.state().items() if self.average else ():
            if self.sharded and tensor.ndim:
                state |= part_of(key, tensor, self._parameter(key), self.ranks)
            elif self.ranks.rank == 0:
                state[key] = tensor
        return state

    def _parameter(self, key: str) -> Tensor:
        """What an averaged tensor is the mean of."""
        return self.model.get_parameter(key.removeprefix(PREFIX))

    def _trained(self) -> list[tuple[str, Tensor]]:
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def _wrap(self) -> nn.Module:
        device = self.setup.device.torch_device
        if self.setup.parallel == "ddp":
            return self._warm(parallel.wrap_ddp(self.model))
        if not self.sharded:
            return self.model
        weights = self.model.state_dict() if self.ranks.rank == 0 else {}
        self.model.load_state_dict(parallel.skeleton(self.model).state_dict(), assign=True)  # rank 0 keeps `weights`
        parallel.wrap_fsdp(self.model, self.dtype, device, self.ranks.tensor_parallel)
        parallel.fill_from_rank_0(self.model, weights, device)
        return self.model

    def _warm(self, wrapped: nn.Module) -> nn.Module:
        """One exchange of zeros: after its first, DDP orders its buckets anew, and with them the sums of three or more
        ranks. A resumed run must not differ from an undisturbed one by that."""
        ids = torch.zeros(1, self.batches.length, dtype=torch.int64)
        warming = make_gradients(wrapped, 1, self.batches.length, self.batches.length, self.dtype, "autograd")
        warming(Batch(ids, ids, torch.zeros(ids.shape)))
        return wrapped
