"""`glassmill doctor`: what this machine can do, measured where half a second is enough."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import TypedDict

from rich.table import Table

from glassmill import native
from glassmill.infer.choose import VARIABLE, chosen_decoder
from glassmill.recipe import PiiSettings
from glassmill.run.executors import cores
from glassmill.run.folder import software

MATRIX = 1536


class Machine(TypedDict):
    """`memory_bytes` is None where the system does not say."""

    system: str
    cores: int
    memory_bytes: int | None
    disk_free_bytes: int


class Training(TypedDict):
    """Where training runs: device, instruction set or name of the GPU, and measured GFLOP/s of a matrix product."""

    device: str
    processor: str
    precision: str
    gflops: float


class Core(TypedDict):
    """The compiled core, the instruction set it chose on this processor ("" if it does not say), and what computes
    models on the CPU: the core, or torch."""

    compiled: bool
    instruction_set: str
    decoder: str


class Health(TypedDict):
    """What `doctor` reports. `problems` is empty if all is well; `notes` are limits that apply everywhere."""

    machine: Machine
    training: Training
    core: Core
    software: dict[str, str]
    problems: list[str]
    notes: list[str]


def examine(runs: Path) -> Health:
    """Examines the machine, the disk of the runs folder, and the installed software."""
    runs_parent = next(parent for parent in [runs.absolute(), *runs.absolute().parents] if parent.exists())
    machine: Machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "memory_bytes": _memory_bytes(),
        "disk_free_bytes": shutil.disk_usage(runs_parent).free,
    }
    return {
        "machine": machine,
        "training": _training(),
        "core": _core(),
        "software": software(),
        "problems": _problems(machine, runs_parent),
        "notes": [f"masked are {', '.join(sorted(PiiSettings().kinds))} (corpus.pii.kinds); personal names are not"],
    }


def health_table(health: Health) -> list[Table]:
    """The same for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    machine, training, core = health["machine"], health["training"], health["core"]
    memory = machine["memory_bytes"]
    table.add_row("system", machine["system"])
    table.add_row("cores", str(machine["cores"]))
    table.add_row("memory", f"{memory / 2**30:.1f} GiB" if memory else "unknown")
    table.add_row("disk free", f"{machine['disk_free_bytes'] / 2**30:.1f} GiB")
    device = f"{training['device']} ({training['processor']})"
    table.add_row("trains on", f"{device} in {training['precision']}, {training['gflops']:,.0f} GFLOP/s")
    instructions = f", with {core['instruction_set']}" if core["instruction_set"] else ""
    table.add_row(
        "core", f"compiled{instructions}" if core["compiled"] else "not compiled: plain Python and resiliparse"
    )
    table.add_row("answers with", f"the {core['decoder']} decoder ({VARIABLE} chooses)")
    table.add_row("software", ", ".join(f"{name} {version}" for name, version in health["software"].items()))
    for note in health["notes"]:
        table.add_row("note", note)
    for problem in health["problems"]:
        table.add_row("[yellow]problem[/yellow]", problem)
    if not health["problems"]:
        table.add_row("[green]ready[/green]", "`glassmill demo` will run here")
    return [table]


def _training() -> Training:
    import torch

    from glassmill.run.device import resolve

    device = resolve(d_model=MATRIX)
    a = torch.randn(MATRIX, MATRIX, device=device.torch_device, dtype=device.torch_dtype)
    a @ a
    rounds, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < 0.5:
        product = a @ a
        rounds += 1
    product.sum().item()  # waits until the accelerator has finished
    gflops = rounds * 2 * MATRIX**3 / (time.perf_counter() - begin) / 1e9
    return {"device": device.kind, "processor": device.processor, "precision": device.dtype, "gflops": round(gflops, 1)}


def _core() -> Core:
    return {
        "compiled": native.available(),
        "instruction_set": native.instruction_set() or "",
        "decoder": chosen_decoder(),
    }


def _problems(machine: Machine, folder: Path) -> list[str]:
    problems = [] if native.available() else [native.WITHOUT]
    if machine["memory_bytes"] and machine["memory_bytes"] < 3 * 2**30:
        problems.append("less than 3 GiB of memory: the system may kill the demo; set corpus.workers=1")
    if machine["disk_free_bytes"] < 2**30:
        problems.append(f"less than 1 GiB free in {folder}: choose another folder with --runs")
    if not os.access(folder, os.W_OK):
        problems.append(f"{folder} is not writable: choose another folder with --runs")
    if sys.platform == "win32":
        problems.append("on Windows a page that hangs the parser is stopped by the wall-clock limit, not by CPU time")
    return problems


def _memory_bytes() -> int | None:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
