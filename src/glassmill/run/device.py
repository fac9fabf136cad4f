"""Where tensors are computed, decided once: device, type of matrix products, threads, rank and world size.

Settings and the machine in, one `Device` out. What it says changes the bytes of a model, so it is part of a run's
identity and of its plan. Torch is not imported here, nor by deciding, if it has answered before (`torch_says`): a
command that trains nothing doesn't wait for it.

    torchrun sets RANK, LOCAL_RANK and WORLD_SIZE; without them there is one process, rank 0 of 1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from glassmill.errors import UserError
from glassmill.run.memory import available_memory
from glassmill.run.torch_says import said

if TYPE_CHECKING:
    import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
DtypeName = Literal["auto", "float32", "bfloat16"]
Facts = dict[str, str | int]
"""What was decided on this machine and changes bytes, for a run's identity."""

BFLOAT16_WIDTH = 128
"""Smallest `d_model` that gains from bfloat16 on a CPU; conversions cost a narrower model more than it saves."""
LARGE_BYTES = 100_000_000
"""Weights of this size don't fit into a processor's caches."""


class Place(NamedTuple):
    """Which of the processes of a training this is."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1


@dataclass(frozen=True, slots=True)
class Device:
    """What a training computes on.

    Attributes:
        kind: `"cpu"`, `"cuda"` or `"mps"`.
        processor: The CPU's instruction set as torch uses it, or the name of the GPU. CPUs of one instruction set may
            still differ in the last bits where their matrix libraries choose by model.
        dtype: Type of matrix products; weights and gradients are float32.
        threads: Of torch, on the CPU; they decide the order of sums.
        torch_version: Of the library.
        place: This process among those that train together.
    """

    kind: str
    processor: str
    dtype: str
    threads: int
    torch_version: str
    place: Place

    def facts(self) -> Facts:
        """What of this changes bytes. Ranks differ between processes of one run and stay out."""
        return {
            "device": self.kind,
            "processor": self.processor,
            "dtype": self.dtype,
            "threads": self.threads,
            "torch": self.torch_version,
            "world_size": self.place.world_size,
        }

    @property
    def torch_device(self) -> torch.device:
        """The device of this process; of several GPUs the one of its local rank."""
        import torch

        return torch.device(self.kind, self.place.local_rank) if self.kind == "cuda" else torch.device(self.kind)

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as torch knows it."""
        import torch

        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[self.dtype]


def resolve(device: DeviceName = "auto", dtype: DtypeName = "auto", threads: int = 0, d_model: int = 0) -> Device:
    """The device that these settings mean on this machine.

    Args:
        device: `"auto"` is a CUDA GPU if there is one, else the CPU. (MPS only by name: nothing is tested on it.)
        dtype: `"auto"` is `best_dtype`.
        threads: 0 is what torch finds.
        d_model: Width of the model.

    Raises:
        UserError: this machine doesn't have the device.
    """
    torch = said()
    kind = device if device != "auto" else "cuda" if torch.cuda else "cpu"
    available = {"cpu": True, "cuda": torch.cuda, "mps": torch.mps}
    if not available[kind]:
        raise UserError(f"device = {kind}: torch {torch.version} finds none on this machine; set device=auto or cpu")
    place = place_from(os.environ)
    processor = torch.processor
    if kind == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else matrix products differ from run to run
        if place.local_rank >= len(torch.gpus):
            raise UserError(
                f"LOCAL_RANK = {place.local_rank}: this machine has {len(torch.gpus)} GPUs; start as many processes"
            )
        processor = torch.gpus[place.local_rank]
    return Device(
        kind=kind,
        processor=processor,
        dtype=dtype if dtype != "auto" else best_dtype(kind, d_model),
        threads=threads or _threads(),
        torch_version=torch.version,
        place=place,
    )


def memory_of(device: Device) -> int:
    """Bytes of memory that a process of this training may plan for: its GPU's, or its share of what is free here."""
    import torch

    if device.kind == "cuda":
        return int(torch.cuda.get_device_properties(device.torch_device).total_memory)
    return available_memory() // local_world_size(os.environ)


def local_world_size(environment: Mapping[str, str]) -> int:
    """How many processes of this training are on this machine."""
    return int(environment.get("LOCAL_WORLD_SIZE", "1"))


def _threads() -> int:
    """torch's number of threads; of several processes on one machine, a fair share of the cores each.

    torchrun sets OMP_NUM_THREADS=1 where the user set nothing, so that 1 says nothing.
    """
    ranks = local_world_size(os.environ)
    if ranks == 1 or os.environ.get("OMP_NUM_THREADS", "1") != "1":
        return said().threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // ranks)


def place_from(environment: Mapping[str, str]) -> Place:
    """Rank, local rank and world size as torchrun sets them.

    >>> place_from({"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"})
    Place(rank=5, local_rank=1, world_size=8)
    >>> place_from({})
    Place(rank=0, local_rank=0, world_size=1)
    """
    return Place(*(int(environment.get(name, default)) for name, default in _TORCHRUN))


_TORCHRUN = (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1"))


def best_dtype(kind: str, d_model: int) -> Literal["float32", "bfloat16"]:
    """bfloat16 where the device multiplies it faster and the matrices are large enough to gain, else float32."""
    wide = kind == "cuda" or (kind == "cpu" and d_model >= BFLOAT16_WIDTH and said().bfloat16)
    return "bfloat16" if wide else "float32"


def inference_dtype(kind: str, weight_bytes: int) -> Literal["float32", "bfloat16"] | None:
    """bfloat16 for large weights on a CPU that multiplies it, else float32; None (as stored) on other devices.

    Large weights are read from memory for every token, and half the bytes take half the time. A small model lies in
    the caches, where float32 is faster. Without the instructions bfloat16 reads prompts at half the speed.
    """
    if kind != "cpu":
        return None
    return "bfloat16" if weight_bytes >= LARGE_BYTES and said().bfloat16 else "float32"
