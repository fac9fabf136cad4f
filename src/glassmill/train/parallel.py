"""DDP, FSDP2 and tensor parallelism, put around a model from outside; the model knows nothing of them.

One process per device, started by torchrun; `torch.distributed` is set up already, see `ranks`. Both wrappers average
gradients over the ranks that read different rows, see `gradients.AutogradGradients` for what that means for the loss.

    meta model -> wrap_fsdp -> fill_from_rank_0: no process ever holds more than its share, but rank 0 the weights
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glassmill.model.transformer import Transformer

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

REPLICAS, TENSOR_PARALLEL = "replicas", "tensor_parallel"
"""The dimensions of the mesh of ranks."""


def wrap_ddp(model: Transformer) -> nn.Module:
    """A replica on every rank (Li et al. 2020, arXiv 2006.15704); gradients are averaged during the backward pass.

    Rank 0's weights are copied to all.
    """
    from torch.nn.parallel import DistributedDataParallel

    device = model.head_weight.device
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def wrap_fsdp(
    model: Transformer,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    tensor_parallel: int = 1,
) -> Transformer:
    """Every parameter cut into one share per rank (FSDP2); a block's weights are whole only while it computes.

    The embedding belongs to the outermost group, with the head: tied, they are one parameter and must be whole from the
    first layer to the loss. So the model is only called, never `hidden` or `logits`.

    Args:
        model: Changed in place. All ranks hold the same weights, or it's on the device "meta", see `fill_from_rank_0`.
        dtype: Of weights while they compute, and of products; shares, gradients and their sums stay float32.
        device: Where the shares will be; by default where the model is.
        tensor_parallel: So many consecutive ranks compute each layer together, see `tensor_parallel.py`.

    Raises:
        UserError: the model's heads or channels cannot be divided by `tensor_parallel`.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    kind, size = (device or model.head_weight.device).type, torch.distributed.get_world_size()
    if tensor_parallel == 1:
        mesh = init_device_mesh(kind, (size,), mesh_dim_names=(REPLICAS,))
    else:
        from glassmill.train.tensor_parallel import cut_blocks

        shape = (size // tensor_parallel, tensor_parallel)
        both = init_device_mesh(kind, shape, mesh_dim_names=(REPLICAS, TENSOR_PARALLEL))
        cut_blocks(model, both[TENSOR_PARALLEL])
        mesh = both[REPLICAS]
    precision = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    for block in model.model.layers:
        fully_shard(block, mesh=mesh, mp_policy=precision)
    fully_shard(model, mesh=mesh, mp_policy=precision)
    return model


def fill_from_rank_0(model: Transformer, weights: Mapping[str, Tensor], device: torch.device) -> None:
    """Make a wrapped model on the device "meta" real: rank 0 hands every rank its share.

    Args:
        model: What `wrap_fsdp` returned.
        weights: All of them on rank 0, nothing on the others.
        device: Where the shares go.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    model.to_empty(device=device)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, dict(weights), options=options)


def recompute(model: Transformer) -> None:
    """Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): a block keeps its input alone, and computes its
    forward pass again in the backward pass. Before a wrapper; the step by hand would not see it."""
    for block in model.model.layers:
        block.forward = _Recomputed(block.forward)


class _Recomputed:
    """A block's `forward`, computed twice where gradients follow."""

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        self.forward = forward

    def __call__(self, *arguments: object) -> Tensor:
        if not torch.is_grad_enabled():
            return self.forward(*arguments)
        result: Tensor = checkpoint(self.forward, *arguments, use_reentrant=False, preserve_rng_state=False)
        return result


class Readers(NamedTuple):
    """The ranks that read different rows of a batch: the model's wrapper averages gradients over them.

    Attributes:
        group: None: all there are.
    """

    size: int = 1
    group: ProcessGroup | None = None

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a number that each of them has a part of."""
        if self.size > 1:
            torch.distributed.all_reduce(value, group=self.group)
        return value


def readers(model: nn.Module) -> Readers:
    """Those of a wrapped model; without a wrapper there is one."""
    if hasattr(model, "no_sync"):
        return Readers(torch.distributed.get_world_size())
    if hasattr(model, "set_requires_gradient_sync"):
        mesh = next(model.parameters()).device_mesh[REPLICAS]  # type: ignore[attr-defined]
        return Readers(mesh.size(), mesh.get_group())
    return Readers()


@contextmanager
def exchange(model: nn.Module, when: bool) -> Iterator[None]:
    """Gradients of a backward pass in here are exchanged between ranks only `when` it is the batch's last."""
    from_fsdp = getattr(model, "set_requires_gradient_sync", None)
    from_ddp = getattr(model, "no_sync", None)
    if callable(from_fsdp):
        from_fsdp(when)
    with from_ddp() if callable(from_ddp) and not when else nullcontext():
        yield


def whole(tensor: Tensor) -> Tensor:
    """A parameter or gradient as it is without FSDP2. All ranks must call this together."""
    full = getattr(tensor, "full_tensor", None)
    return full() if callable(full) else tensor


@torch.no_grad()
def skeleton(model: Transformer) -> Transformer:
    """The same modules without values, on the device "meta": adapters and frozen parameters are as in `model`."""
    known = {id(p): nn.Parameter(p.to("meta"), requires_grad=p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, known)


@torch.no_grad()
def gathered(model: nn.Module, empty: Transformer | None, device: torch.device) -> Transformer | None:
    """A plain copy of what `wrap_fsdp` cut, on rank 0; None elsewhere. All ranks must call this together.

    Args:
        empty: On rank 0 the `skeleton` of the model; it stays empty.
        device: Where the copy goes.
    """
    copied = {}
    for name, parameter in model.named_parameters():
        full = whole(parameter).detach()
        if empty is not None:
            copied[name] = full.to(device, copy=True)  # what one rank has whole is not gathered, but the weight itself
    if empty is None:
        return None
    return with_weights(empty, copied)


def with_weights(empty: Transformer, weights: Mapping[str, Tensor]) -> Transformer:
    """A model with these weights, shaped and frozen as `empty`, which stays empty."""
    plain = skeleton(empty)
    plain.load_state_dict(weights, assign=True)
    for name, parameter in plain.named_parameters():
        parameter.requires_grad_(empty.get_parameter(name).requires_grad)
    return plain


def gradient_norm_over_ranks(model: nn.Module) -> float:
    """The norm of all gradients together, of which every rank has a part."""
    local = [own_norm(p.grad) for p in model.parameters() if p.grad is not None]
    square = torch.stack(local).norm().square() if local else torch.zeros(())
    torch.distributed.all_reduce(square)
    return float(square.sqrt())


def whole_or_rows(tensor: Tensor) -> Tensor:
    """What this rank has of a tensor, as a plain tensor."""
    local = getattr(tensor, "to_local", None)
    return local() if callable(local) else tensor


def own_norm(tensor: Tensor) -> Tensor:
    """The norm of what this rank has of a tensor, so that squares add up to that of the whole over all ranks: what the
    ranks of a replica all have counts once."""
    norm: Tensor = whole_or_rows(tensor).norm() / copies(tensor) ** 0.5
    return norm


def copies(tensor: Tensor) -> int:
    """On how many ranks each number of a tensor is that FSDP2 cut; 1 for a plain one.

    The tensor's own mesh says so: all ranks beside those that it is cut over have the same.
    """
    if not hasattr(tensor, "placements"):
        return 1
    sizes = zip(tensor.device_mesh.shape, tensor.placements, strict=True)  # type: ignore[attr-defined]
    parts: int = math.prod(n for n, place in sizes if not place.is_replicate())
    return torch.distributed.get_world_size() // parts


def cut_dim(tensor: Tensor) -> int | None:
    """The dimension of a parameter that tensor parallelism cuts, if it does."""
    names = tensor.device_mesh.mesh_dim_names if hasattr(tensor, "device_mesh") else ()
    if TENSOR_PARALLEL not in names:
        return None
    dim: int | None = getattr(tensor.placements[names.index(TENSOR_PARALLEL)], "dim", None)  # type: ignore[attr-defined]
    return dim
