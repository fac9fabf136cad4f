"""Which decoder computes a model: the native one on a CPU, the one with CUDA graphs on a GPU of Nvidia, else torch's.

The environment variable GLASSMILL_DECODER (`native`, `graph` or `torch`) chooses for every command, and GLASSMILL_KV=q8
keeps the native one's keys and values in 8 bits. GLASSMILL_DEVICE (`cpu`, `cuda`, `cuda:1`, `mps`) says where models
answer; evals stay on the CPU. Torch is imported only where its decoders are loaded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from glassmill import native
from glassmill.errors import UserError
from glassmill.infer.decoder import Decoder

if TYPE_CHECKING:
    import torch

    from glassmill.infer.native_decoder import CacheFormat, WeightFormat

DecoderName = Literal["native", "graph", "torch"]
NAMES = ("native", "graph", "torch")
VARIABLE, KV_VARIABLE, DEVICE_VARIABLE = "GLASSMILL_DECODER", "GLASSMILL_KV", "GLASSMILL_DEVICE"


def chosen_decoder(name: str | None = None, device: str = "cpu", dtype: str | None = None) -> DecoderName:
    """The decoder of that name; without one that of the environment, or the faster one that can do it.

    Args:
        name: `native`, `graph`, `torch`, or None. `graph` computes on any device, and records graphs on CUDA.
        device: Where it is to compute.
        dtype: In what, as torch names it; None is its own choice.

    Raises:
        UserError: There is no such decoder, it was not built here, or it cannot compute there or so.
    """
    wanted = name or os.environ.get(VARIABLE) or None
    if wanted is not None and wanted not in NAMES:
        what = "decoder" if name else VARIABLE
        raise UserError(f"{what} = {wanted[:40]}: there is `native` (compiled, for CPUs), `graph` and `torch`")
    possible = device == "cpu" and dtype in (None, "float32", "bfloat16")
    if wanted == "native" and not native.available():
        raise UserError("decoder = native: the native core was not built here (see `glassmill doctor`); take torch")
    if name == "native" and not possible:
        raise UserError(f"decoder = native computes on a CPU in float32 or bfloat16, not on {device} in {dtype}")
    if wanted in ("graph", "torch"):
        return cast("DecoderName", wanted)
    if possible and native.available():
        return "native"
    return "graph" if device.partition(":")[0] == "cuda" else "torch"


def chosen_device(given: str | None = None) -> str:
    """Where a model answers: as given, or as the environment says, else on the CPU.

    Raises:
        UserError: There is no such device, or not on this machine.
    """
    device = given or os.environ.get(DEVICE_VARIABLE) or "cpu"
    if device == "cpu":
        return device
    what = "device" if given else DEVICE_VARIABLE
    if not re.fullmatch(r"mps|cuda(:[0-9]{1,3})?", device):
        raise UserError(f"{what} = {device[:40]}: there is cpu, cuda (or cuda:1 for the second GPU) and mps")
    import torch

    if device == "mps":
        found = torch.backends.mps.is_available()
    else:
        found = int(device.partition(":")[2] or 0) < torch.cuda.device_count()
    if not found:
        raise UserError(f"{what} = {device}: torch {torch.__version__} finds none on this machine; take cpu")
    return device


def chosen_cache() -> CacheFormat | None:
    """How the environment wants keys and values kept; None is as the weights are, which is exact.

    Raises:
        UserError: It wants something else than `q8`.
    """
    wanted = os.environ.get(KV_VARIABLE) or None
    if wanted not in (None, "q8"):
        raise UserError(f"{KV_VARIABLE} = {wanted[:40]}: there is `q8`; unset, keys and values are as the weights are")
    return cast("CacheFormat | None", wanted)


def load_decoder(
    folder: Path, max_rows: int, name: str | None = None, device: str = "cpu", dtype: torch.dtype | None = None
) -> Decoder:
    """The decoder of a model folder.

    Raises:
        UserError: See `chosen_decoder`; the folder is damaged; or the environment wants a cache that this decoder does
            not have.
    """
    dtype_name = None if dtype is None else str(dtype).removeprefix("torch.")
    chosen, cache = chosen_decoder(name, device, dtype_name), chosen_cache()
    if cache and chosen != "native":
        raise UserError(f"{KV_VARIABLE} = {cache}: only the native decoder has that, and here it is {chosen}; unset it")
    if chosen == "native":
        from glassmill.infer.native_decoder import load_native_decoder

        return load_native_decoder(folder, max_rows, cast("WeightFormat | None", dtype_name), cache)
    if chosen == "graph":
        from glassmill.infer.graph_decoder import load_graph_decoder

        return load_graph_decoder(folder, max_rows, device, dtype)
    from glassmill.infer.torch_decoder import load_torch_decoder

    return load_torch_decoder(folder, max_rows, device, dtype)
