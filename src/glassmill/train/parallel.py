"""DDP and FSDP2, put around a model from outside; the model knows nothing of them.

One process per device, started by torchrun; `torch.distributed` is set up already, see `ranks`. Both wrappers average
gradients over the ranks, see `gradients.AutogradGradients` for what that means for the loss.

    meta model -> wrap_fsdp -> fill_from_rank_0: no process ever holds more than its share, but rank 0 the weights
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glassmill.model.transformer import Transformer


def wrap_ddp(model: Transformer) -> nn.Module:
    """A replica on every rank (Li et al. 2020, arXiv 2006.15704); gradients are averaged during the backward pass.

    Rank 0's weights are copied to all.
    """
    from torch.nn.parallel import DistributedDataParallel

    device = model.head_weight.device
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def wrap_fsdp(
    model: Transformer, dtype: torch.dtype = torch.float32, device: torch.device | None = None
) -> Transformer:
    """Every parameter cut into one share per rank (FSDP2); a block's weights are whole only while it computes.

    The embedding belongs to the outermost group, with the head: tied, they are one parameter and must be whole from the
    first layer to the loss. So the model is only called, never `hidden` or `logits`.

    Args:
        model: Changed in place. All ranks hold the same weights, or it's on the device "meta", see `fill_from_rank_0`.
        dtype: Of weights while they compute, and of products; shares, gradients and their sums stay float32.
        device: Where the shares will be; by default where the model is.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh((device or model.head_weight.device).type, (torch.distributed.get_world_size(),))
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


def num_ranks(model: nn.Module) -> int:
    """Number of ranks over which the model's wrapper averages gradients; 1 without a wrapper."""
    wrapped = hasattr(model, "set_requires_gradient_sync") or hasattr(model, "no_sync")
    return torch.distributed.get_world_size() if wrapped and torch.distributed.is_initialized() else 1


@contextmanager
def exchange(model: nn.Module, when: bool) -> Iterator[None]:
    """Gradients of a backward pass in here are exchanged between ranks only `when` it is the batch's last."""
    from_fsdp = getattr(model, "set_requires_gradient_sync", None)
    from_ddp = getattr(model, "no_sync", None)
    if callable(from_fsdp):
        from_fsdp(when)
    with from_ddp() if callable(from_ddp) and not when else nullcontext():
        yield


def sum_over_ranks(value: Tensor, world_size: int) -> Tensor:
    """The sum of a number that every rank has a part of."""
    if world_size > 1:
        torch.distributed.all_reduce(value)
    return value


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
            copied[name] = full.to(device)
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
    """The norm of all gradients together, of which every rank has some rows."""
    local = [whole_or_rows(p.grad).norm() for p in model.parameters() if p.grad is not None]
    square = torch.stack(local).norm().square() if local else torch.zeros(())
    torch.distributed.all_reduce(square)
    return float(square.sqrt())


def whole_or_rows(tensor: Tensor) -> Tensor:
    """What this rank has of a tensor, as a plain tensor."""
    local = getattr(tensor, "to_local", None)
    return local() if callable(local) else tensor
