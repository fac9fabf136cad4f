"""Which part of a tensor a rank has: some of its rows, and with tensor parallelism some of its columns.

FSDP2 cuts rows over the replicas. Tensor parallelism cuts before that, rows or columns, over the ranks of a replica. So
a rank has a box: consecutive rows, and of these consecutive columns.

    4 ranks, tensor_parallel = 2      cut by rows (q, k, v, gate, up)    by columns (o, down)    not at all
    ranks 0, 1: the first replica     rows 0-1, 4-5 of 8                 rows 0-3, half each     rows 0-3 on both
    ranks 2, 3: the second            rows 2-3, 6-7                      rows 4-7, half each     rows 4-7 on both
"""

from __future__ import annotations

from torch import Tensor

from glassmill.train.checkpoint import Saved
from glassmill.train.parallel import cut_dim
from glassmill.train.parts import Box, Part, Value
from glassmill.train.ranks import Ranks


def rows_of(rank: int, size: int, total: int) -> tuple[int, int]:
    """First row and number of rows that a rank has of a tensor with `total`, as FSDP2 cuts it.

    >>> [rows_of(rank, 3, 4) for rank in range(3)]
    [(0, 2), (2, 2), (4, 0)]
    """
    chunk = -(-total // size)
    first = min(rank * chunk, total)
    return first, min(chunk, total - first)


def box_of(tensor: Tensor, rank: int, ranks: Ranks) -> Box:
    """What `rank` has of a parameter, which `parallel.wrap_fsdp` cut."""
    replica, member = divmod(rank, ranks.tensor_parallel)
    starts, lengths = [0] * tensor.ndim, list(tensor.shape)
    cut = cut_dim(tensor)
    if cut is not None:
        lengths[cut] //= ranks.tensor_parallel
        starts[cut] = member * lengths[cut]
    first, lengths[0] = rows_of(replica, ranks.replicas, lengths[0])
    starts[0] += first
    return tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))


def part_of(name: str, local: Tensor, whole: Tensor, ranks: Ranks) -> dict[str, Value]:
    """What this rank saves, as `name`, of a tensor that is cut as `whole` is: its part, if no rank before it has the
    same."""
    if cut_dim(whole) is None and ranks.rank % ranks.tensor_parallel:
        return {}
    return {name: Part.at(local, box_of(whole, ranks.rank, ranks), whole.shape)}


def read_part(saved: Saved, kind: str, key: str, parameter: Tensor, ranks: Ranks) -> Tensor:
    """A saved tensor, or this rank's part of it if the parameter is cut."""
    if not hasattr(parameter, "to_local"):
        return saved.read(kind, key)
    return saved.read(kind, key, box_of(parameter, ranks.rank, ranks))
