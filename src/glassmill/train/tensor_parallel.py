"""Tensor parallelism: the matrices of a block cut over the ranks of a group, which compute each layer together.

As in Megatron-LM (Shoeybi et al. 2019, arXiv 1909.08053, section 3): q, k, v, gate and up are cut by outputs, so that
a rank has whole heads and whole channels; o and down by inputs, and what the ranks get is added up, once for attention
and once for the feed-forward layer. Embedding, head and norms are the same on all ranks of a group. Gradients of the
norms of queries and keys, which a rank sees for its own heads alone, are added up; all others are right as they are.

For models whose layers are too wide for one device; around it, FSDP2 cuts what is left over the groups.

    adapters   B is cut where its layer's outputs are, A where its inputs are; what is not cut is the same on all ranks
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import SequenceParallel, parallelize_module
from torch.distributed.tensor.parallel.style import ParallelStyle
from torch.distributed.tensor.placement_types import Placement

from glassmill.errors import UserError

if TYPE_CHECKING:
    from glassmill.model.config import ModelConfig
    from glassmill.model.transformer import Transformer

OUTPUTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
INPUTS = ("self_attn.o_proj", "mlp.down_proj")
HEAD_NORMS = ("self_attn.q_norm", "self_attn.k_norm")
HEADS_DIM = 2
"""Of `(B, T, N, H)`."""


def cut_blocks(model: Transformer, mesh: DeviceMesh) -> None:
    """Cut the matrices of every block over the ranks of `mesh`, of one dimension.

    Args:
        model: Changed in place, with or without adapters. All ranks hold the same weights, or it's on "meta".

    Raises:
        UserError: heads or channels cannot be divided by the number of ranks.
    """
    check_shape(model.config, mesh.size())
    plan: dict[str, ParallelStyle] = dict.fromkeys(OUTPUTS, _Cut(by_outputs=True))
    plan |= dict.fromkeys(INPUTS, _Cut(by_outputs=False))
    if model.config.qk_norm:
        plan |= dict.fromkeys(HEAD_NORMS, SequenceParallel(sequence_dim=HEADS_DIM, use_local_output=True))
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    for block in model.model.layers:
        parallelize_module(block, mesh, plan, src_data_rank=None)
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(
        logging.ERROR
    )  # warns where shares are gathered


def check_shape(config: ModelConfig, size: int) -> None:
    """Raises UserError where the heads or channels of a model cannot be divided by `size`."""
    for name in ("num_heads", "num_kv_heads", "d_ff"):
        if getattr(config, name) % size:
            raise UserError(
                f"tensor_parallel = {size} does not divide {name} = {getattr(config, name)} of this model; "
                "set a divisor, or tensor_parallel=1"
            )


class _Cut(ParallelStyle):
    """A linear layer, plain or with an adapter, that is cut by its outputs or by its inputs.

    Cut by outputs it takes all channels and gives a rank's own; cut by inputs it takes a rank's own and gives all.
    """

    def __init__(self, by_outputs: bool) -> None:
        dim = 0 if by_outputs else 1
        names = ("weight", "bias", "lora_B") if by_outputs else ("weight", "lora_A")
        self.places = dict.fromkeys(names, Shard(dim))
        ends: tuple[Placement, Placement] = (Replicate(), Shard(-1))
        self.given, self.told = ends if by_outputs else ends[::-1]

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        return distribute_module(module, device_mesh, self._partition, self._enter, self._leave)  # type: ignore[arg-type]

    def _partition(self, name: str, module: nn.Module, mesh: DeviceMesh) -> None:
        for key, parameter in list(module.named_parameters(recurse=False)):
            placed = distribute_tensor(parameter, mesh, [self.places.get(key, Replicate())], src_data_rank=None)
            module.register_parameter(key, nn.Parameter(placed))

    def _enter(self, module: nn.Module, given: tuple[Tensor], mesh: DeviceMesh) -> tuple[Tensor]:
        return (DTensor.from_local(given[0], mesh, [self.given], run_check=False),)

    def _leave(self, module: nn.Module, told: DTensor, mesh: DeviceMesh) -> Tensor:
        return told.redistribute(placements=[self.told]).to_local()
