"""The machine's matrix peak: the most FLOP/s that one process gets out of it in plain products of square matrices.

Measured, not read off a data sheet: a laptop's clock, a container's share and a library's kernels are in it. Training
does the same kind of products, in smaller pieces and with other work between them, so its share of the peak says what
there is left to win.
"""

from __future__ import annotations

import time

import torch

from glassmill.run.device import Device

SMALLEST, LARGEST = 1024, 16_384
LONG_S = 0.02
"""A product is large enough once it takes so long."""
TIMES = 4


@torch.no_grad()
def matrix_peak(device: Device) -> float:
    """FLOP/s in the type that training computes in, with the threads that torch has now; takes about a tenth of a
    second."""
    size, best = SMALLEST, 0.0
    while True:
        a = torch.full((size, size), 1 / size, dtype=device.torch_dtype, device=device.torch_device)
        seconds = min(_seconds(a) for _ in range(TIMES))
        best = max(best, 2 * size**3 / seconds)
        if seconds >= LONG_S or size == LARGEST:
            return best
        size *= 2


def _seconds(a: torch.Tensor) -> float:
    begin = time.perf_counter()
    (a @ a)[0, 0].item()  # waits for a GPU
    return max(time.perf_counter() - begin, 1e-9)
