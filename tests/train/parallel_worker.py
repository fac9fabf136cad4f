"""What each of the processes of `test_parallel` does: the same batch as one process, wrapped in DDP, in FSDP2, or with
layers that two processes compute together (tensor parallelism, "tp"); of four processes only the last.

Prints one line of JSON on rank 0: for every case, the largest difference of a gradient from that of one process, which
parameters have one, and what the fused step says; and how often gradients were exchanged.
"""

import json
from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.model.lora import add_lora
from glassmill.model.transformer import Transformer
from glassmill.run.device import resolve
from glassmill.train import parallel
from glassmill.train.gradients import AutogradGradients, Batch, make_gradients
from glassmill.train.health import gradient_norm
from glassmill.train.ranks import Ranks

LENGTH, ROWS, MICRO_ROWS = 16, 7, 2
CUT_TOGETHER = 2
"""Processes that compute a layer together."""
SHAPES = {
    "tied": ModelConfig(67, 40, 2, 4, 2, 12, 56, LENGTH),
    "own head": ModelConfig(67, 40, 2, 4, 2, 12, 54, LENGTH, tie_embeddings=False),
    "biases": ModelConfig(67, 40, 2, 4, 2, 12, 56, LENGTH, qk_norm=False, qkv_bias=True),
}


def random_model(config: ModelConfig, adapted: bool) -> Transformer:
    model, generator = Transformer(config), torch.Generator().manual_seed(1)
    if adapted:
        add_lora(model, rank=3, alpha=6)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.15
            parameter.copy_(noise if parameter.ndim == 2 else 1 + noise)
    return model


def uneven_batch() -> Batch:
    """Rows whose weights differ so much that averaging the ranks' means would be wrong, one of them without any."""
    generator = torch.Generator().manual_seed(2)
    ids, targets = (torch.randint(0, 67, (ROWS, LENGTH), generator=generator) for _ in range(2))
    weights = torch.rand(ROWS, LENGTH, generator=generator) * torch.tensor([1, 20, 0, 3, 0.1, 7, 5])[:, None]
    return Batch(ids, targets, weights / weights.sum())


def from_meta(config: ModelConfig, adapted: bool, tensor_parallel: int = 1) -> Transformer:
    """As a model too large for one process starts: shares of nothing, filled from rank 0."""
    weights = random_model(config, adapted).state_dict() if distributed.get_rank() == 0 else {}
    with torch.device("meta"):
        model = Transformer(config)
        if adapted:
            add_lora(model, rank=3, alpha=6)
    device = torch.device("cpu")
    parallel.fill_from_rank_0(
        parallel.wrap_fsdp(model, device=device, tensor_parallel=tensor_parallel), weights, device
    )
    return model


WRAPPERS: dict[str, Callable[[ModelConfig, bool], nn.Module]] = {
    "ddp": lambda config, adapted: parallel.wrap_ddp(random_model(config, adapted)),
    "fsdp": lambda config, adapted: parallel.wrap_fsdp(random_model(config, adapted)),
    "fsdp from meta": from_meta,
    "tp": lambda config, adapted: parallel.wrap_fsdp(random_model(config, adapted), tensor_parallel=CUT_TOGETHER),
    "tp from meta": lambda config, adapted: from_meta(config, adapted, CUT_TOGETHER),
}


def gradients_of(model: nn.Module) -> dict[str, Tensor | None]:
    return {
        name.removeprefix("module."): None if p.grad is None else parallel.whole(p.grad)
        for name, p in model.named_parameters()
    }


def compare(
    config: ModelConfig, adapted: bool, wrap: Callable[[ModelConfig, bool], nn.Module], tensor_parallel: int
) -> dict[str, object]:
    """One case. A second batch follows the first, so that nothing may be left over."""
    place, batch = resolve().place, uneven_batch()
    ranks = Ranks(place.rank, place.world_size, tensor_parallel)
    plain = random_model(config, adapted)
    expected_loss = AutogradGradients(plain, ROWS, torch.float32)(batch)
    expected = gradients_of(plain)
    model = wrap(config, adapted)
    step = AutogradGradients(model, MICRO_ROWS, torch.float32)
    for _ in range(2):
        loss = step(batch.share(ranks.replica, ranks.replicas))
    norm = gradient_norm(model) if hasattr(model, "no_sync") else parallel.gradient_norm_over_ranks(model)
    found = gradients_of(model)
    assert found.keys() == expected.keys()
    try:
        make_gradients(model, ROWS, LENGTH, 64, torch.float32, step="fused")
        refusal = ""
    except UserError as error:
        refusal = str(error)
    return {
        "loss": abs(loss - expected_loss) / expected_loss,
        "norm": abs(norm / gradient_norm(plain) - 1),
        "gradients": max(difference(found[name], gradient) for name, gradient in expected.items()),
        "trained": sorted({name.rpartition(".")[2] for name, gradient in found.items() if gradient is not None}),
        "refusal": refusal,
    }


def difference(found: Tensor | None, expected: Tensor | None) -> float:
    """Relative to the largest entry; 0 if both are frozen, infinite if one is."""
    if found is None or expected is None:
        return 0.0 if found is expected else float("inf")
    return float((found - expected).abs().max() / expected.abs().max())


def count_exchanges(config: ModelConfig) -> dict[str, int]:
    """Exchanges of gradients in one batch of two micro-batches."""
    share = uneven_batch().share(distributed.get_rank(), 2)
    assert len(share.ids) == 2 * MICRO_ROWS
    buckets: list[int] = []

    # no `from __future__ import annotations` in this file: DDP compares the annotations of its hooks with classes
    def count(state: object, bucket: distributed.GradBucket) -> torch.futures.Future[Tensor]:
        buckets.append(bucket.index())
        return default_hooks.allreduce_hook(distributed.group.WORLD, bucket)

    replicated = parallel.wrap_ddp(random_model(config, False))
    replicated.register_comm_hook(None, count)  # type: ignore[operator]
    AutogradGradients(replicated, MICRO_ROWS, torch.float32)(share)
    sharded = AutogradGradients(parallel.wrap_fsdp(random_model(config, False)), MICRO_ROWS, torch.float32)
    with Operators() as called:
        sharded(share)
    return {"ddp": len(buckets), "fsdp": sum("reduce_scatter" in name for name in called.names)}


class Operators(TorchDispatchMode):
    """Names of the operators called inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


def main() -> None:
    distributed.init_process_group("gloo")
    cases = {
        f"{wrapper}, {shape}{', adapter' if adapted else ''}": compare(
            config, adapted, wrap, CUT_TOGETHER if wrapper.startswith("tp") else 1
        )
        for wrapper, wrap in WRAPPERS.items()
        if distributed.get_world_size() == 2 or wrapper.startswith("tp")
        for shape, config in SHAPES.items()
        for adapted in (False, True)
    }
    found = {"ranks": distributed.get_world_size(), "cases": cases}
    if distributed.get_world_size() == 2:
        found["exchanges"] = count_exchanges(SHAPES["tied"])
    if distributed.get_rank() == 0:
        print(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
