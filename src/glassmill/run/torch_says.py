"""What torch says of this machine. Loading it to ask takes longer than all else that a call with nothing to do does.

Once torch is loaded it answers itself. Before that its answers of another process count (`torch.json` in the cache
folder), while nothing differs that they depend on: the installed torch, the machine since it was started, the cores and
GPUs that this process may use, the variables of the environment that torch and its libraries read. What is remembered
only ever tells that nothing is to do: whoever makes something calls `load` first and asks again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glassmill import native
from glassmill.errors import UserError
from glassmill.run.files import atomic_json, cache_folder
from glassmill.run.hashes import stamp_of

if TYPE_CHECKING:
    from types import ModuleType

FILE = "torch.json"
MOST_REMEMBERED = 16
LIBRARIES = ("ATEN", "CUDA", "DNNL", "GOMP", "HIP", "KMP", "LD", "MKL", "NVIDIA", "OMP",
 "ONEDNN", "PYTORCH", "ROCR", "TORCH")  # fmt: skip
VARIABLES = tuple(f"{name}_" for name in LIBRARIES)
"""How names begin of the variables of the environment that change an answer."""
DRIVERS = ("/proc/driver/nvidia/version", "/sys/module/amdgpu/version")
DEVICES = ("nvidia*", "kfd", "dri/*")


class Said(NamedTuple):
    """Torch's answers.

    Attributes:
        version: Of the library.
        processor: The instruction set that it uses.
        threads: What it would start.
        bfloat16: Whether the CPU multiplies it.
        gpus: Names of the GPUs that CUDA finds.
        cuda, mps: Whether there are such devices.
    """

    version: str
    processor: str
    threads: int
    bfloat16: bool
    gpus: tuple[str, ...]
    cuda: bool
    mps: bool


def said() -> Said:
    """Its answers in this process, or those that it would give."""
    if "torch" in sys.modules:
        return _asked(sys.modules["torch"])
    return _remembered() or _asked_first()


def load() -> bool:
    """Loads torch if it has not answered itself so far; whether it had not, so that the answers count once more."""
    if "torch" in sys.modules or not _remembered.cache_info().currsize:
        return False
    importlib.import_module("torch")
    return True


def _asked_first() -> Said:
    """Torch, just loaded: nobody has changed the number of its threads yet."""
    answers = _asked(importlib.import_module("torch"))
    if key := _circumstances():
        known = {name: one for name, one in _file().items() if name != key}
        newest = dict(list(known.items())[1 - MOST_REMEMBERED :])
        with contextlib.suppress(OSError, UserError):  # no cache costs time and nothing else
            atomic_json(cache_folder() / FILE, newest | {key: answers._asdict()})
    return answers


def _asked(torch: ModuleType) -> Said:
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private: a later torch may not have them
    cuda = torch.cuda.is_available()
    return Said(
        version=torch.__version__,
        processor=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        bfloat16=any(getattr(torch.cpu, name, bool)() for name in checks),
        gpus=tuple(torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count())) if cuda else (),
        cuda=cuda,
        mps=torch.backends.mps.is_available(),
    )


# --- what is remembered -----------------------------------------------------------------------------------------------


@cache
def _remembered() -> Said | None:
    """The answers of an earlier process under the same circumstances."""
    try:
        answers = _file()[_circumstances() or ""]
        return Said(**answers | {"gpus": tuple(answers["gpus"])})
    except (KeyError, TypeError):
        return None


def _file() -> dict[str, Any]:
    try:
        known = json.loads((cache_folder() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _circumstances() -> str | None:
    """A hash of everything that the answers depend on; None where that is not known (only Linux tells of a restart)."""
    found = importlib.util.find_spec("torch")
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return None
    if found is None or found.origin is None:
        return None
    place = Path(found.origin)
    parts = [
        started,
        native.instruction_set(),
        [[str(path), stamp_of(path)] for path in (place, place.with_name("version.py"))],
        sorted(os.sched_getaffinity(0)),
        sorted(str(path) for pattern in DEVICES for path in Path("/dev").glob(pattern)),
        [_text(Path(driver)) for driver in DRIVERS],
        _variables(os.environ),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _variables(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in environment.items() if name.startswith(VARIABLES))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
