"""Steps of fixed shape, and how they are run again: as a CUDA graph, or as a plain call.

A step reads its inputs from buffers that stay where they are, so that running it again is copying new inputs in. On a
GPU it is then one launch for all of a model's kernels (`torch.cuda.CUDAGraph`). On any other device it is the same
function, called. Shapes are rounded up (`rounded`), so that a few steps serve every batch.

    B rows, T tokens of a row
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from glassmill.infer.sampling import Ids

MIN_KEYS = 256
"""Positions that the attention of the shortest rows looks at."""
PIECE_TOKENS = 256
"""Up to here a piece is rounded to a power of two, beyond to a multiple of this."""

Work = Callable[[], tuple[Tensor, ...]]
"""Reads buffers, gives what it computed: always the same operations on the same addresses."""


class Capture(Protocol):
    """How work is made repeatable: `capture(work)` gives a function that does it and returns the same tensors."""

    def __call__(self, work: Work) -> Work: ...


class Shape(NamedTuple):
    """Of a step: rows, tokens of each, and positions that attention looks at."""

    rows: int
    tokens: int
    keys: int


def rounded(num_rows: int, num_tokens: int, end: int, max_rows: int, max_keys: int) -> Shape:
    """The shape of the step that computes so many rows, pieces up to `num_tokens`, and rows that end before `end`.

    >>> rounded(3, 1, 40, 32, 2048), rounded(1, 300, 300, 32, 2048), rounded(5, 6, 600, 6, 768)
    (Shape(rows=4, tokens=1, keys=256), Shape(rows=1, tokens=512, keys=512), Shape(rows=6, tokens=8, keys=768))
    """
    tokens = _power(num_tokens) if num_tokens <= PIECE_TOKENS else -(-num_tokens // PIECE_TOKENS) * PIECE_TOKENS
    tokens = max(8, tokens) if num_tokens > 1 else 1
    return Shape(rounded_rows(num_rows, max_rows), tokens, min(max(MIN_KEYS, _power(end)), max_keys))


def rounded_rows(num_rows: int, max_rows: int) -> int:
    """Rows of such a step."""
    return min(_power(num_rows), max_rows)


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()


class Buffers:
    """The inputs of a step, one block of memory here and one on the device, so that one copy fills them.

    Attributes:
        ids_BT, positions_BT, rows_B: On the device.
        host_ids_BT, host_positions_BT, host_rows_B: Here; `upload` brings them over.
    """

    def __init__(self, shape: Shape, device: torch.device) -> None:
        num_rows, num_tokens, _ = shape
        size = num_rows * num_tokens
        self._host: Ids = np.zeros(2 * size + num_rows, dtype=np.int64)
        self._device = torch.zeros(2 * size + num_rows, dtype=torch.int64, device=device)
        self.host_ids_BT = self._host[:size].reshape(num_rows, num_tokens)
        self.host_positions_BT = self._host[size : 2 * size].reshape(num_rows, num_tokens)
        self.host_rows_B = self._host[2 * size :]
        self.ids_BT = self._device[:size].view(num_rows, num_tokens)
        self.positions_BT = self._device[size : 2 * size].view(num_rows, num_tokens)
        self.rows_B = self._device[2 * size :]

    def upload(self) -> None:
        """Copy the inputs to the device. The memory here may be written again at once: as it is not pinned, CUDA has
        copied it away when the call returns."""
        self._device.copy_(torch.from_numpy(self._host), non_blocking=True)


class Step:
    """A step of one shape: run plainly the first time, since many shapes occur once, then captured."""

    def __init__(self, buffers: Buffers, work: Work, capture: Capture) -> None:
        self.buffers, self._work, self._capture = buffers, work, capture
        self._runs, self._replay = 0, work

    def run(self) -> tuple[Tensor, ...]:
        """Upload the buffers and compute. What comes out is valid until any step runs again."""
        self._runs += 1
        self.buffers.upload()  # before a capture, which runs the work: old inputs would write into rows of today
        if self._runs == 2:
            self._replay = self._capture(self._work)
        return self._replay()


def plain_calls(work: Work) -> Work:
    """Where there are no graphs: the work itself."""
    return work


class CudaGraphs:
    """Records work as CUDA graphs that share one pool of memory: they never run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._pool = device, torch.cuda.graph_pool_handle()

    def __call__(self, work: Work) -> Work:
        """Record `work`. It runs twice before, so that libraries choose their kernels and set up their workspaces."""
        with torch.cuda.device(self._device):
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(2):
                    work()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # other threads may use the GPU meanwhile: the studio's traces, embeddings
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                found = work()

        def replay() -> tuple[Tensor, ...]:
            graph.replay()
            return found

        return replay


def captures_for(device: torch.device) -> Capture:
    """CUDA graphs on a GPU, plain calls elsewhere."""
    return CudaGraphs(device) if device.type == "cuda" else plain_calls
