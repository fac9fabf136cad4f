"""`glassmill doctor`: what this machine can do, measured rather than guessed where a second suffices."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from glassmill import native
from glassmill.run.executors import cores
from glassmill.run.folder import software

MATRIX = 1536


def examine(runs: Path) -> dict[str, Any]:
    """The machine, the software, and every problem in words.

    Returns:
        `machine` (cores, memory and disk in bytes, accelerator), `training` (precision and measured GFLOP/s of a matrix
        product), `software`, `problems` (empty where all is well).
    """
    runs_parent = next(parent for parent in [runs.absolute(), *runs.absolute().parents] if parent.exists())
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "memory_bytes": _memory_bytes(),
        "disk_free_bytes": shutil.disk_usage(runs_parent).free,
    }
    training = _training()
    return {
        "machine": machine,
        "training": training,
        "software": software(),
        "problems": _problems(machine, runs_parent),
    }


def health_table(health: dict[str, Any]) -> list[Table]:
    """The same for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    machine, training = health["machine"], health["training"]
    memory = machine["memory_bytes"]
    table.add_row("system", machine["system"])
    table.add_row("cores", str(machine["cores"]))
    table.add_row("memory", f"{memory / 2**30:.1f} GiB" if memory else "unknown")
    table.add_row("disk free", f"{machine['disk_free_bytes'] / 2**30:.1f} GiB")
    table.add_row("trains on", f"{training['device']} in {training['precision']}, {training['gflops']:,.0f} GFLOP/s")
    table.add_row("software", ", ".join(f"{name} {version}" for name, version in health["software"].items()))
    for problem in health["problems"]:
        table.add_row("[yellow]problem[/yellow]", problem)
    if not health["problems"]:
        table.add_row("[green]ready[/green]", "`glassmill demo` will run here")
    return [table]


def _training() -> dict[str, Any]:
    import torch

    from glassmill.run.device import resolve

    device = resolve(d_model=MATRIX)
    a = torch.randn(MATRIX, MATRIX, device=device.torch_device, dtype=device.torch_dtype)
    a @ a
    rounds, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < 0.5:
        product = a @ a
        rounds += 1
    product.sum().item()  # waits for an accelerator to finish
    gflops = rounds * 2 * MATRIX**3 / (time.perf_counter() - begin) / 1e9
    return {"device": device.kind, "precision": device.dtype, "gflops": round(gflops, 1)}


def _problems(machine: dict[str, Any], folder: Path) -> list[str]:
    problems = [] if native.available() else [native.WITHOUT]
    if machine["memory_bytes"] and machine["memory_bytes"] < 3 * 2**30:
        problems.append("under 3 GiB of memory: the demo may be ended by the system; set corpus.workers=1")
    if machine["disk_free_bytes"] < 2**30:
        problems.append(f"under 1 GiB free in {folder}: name another folder with --runs")
    if not os.access(folder, os.W_OK):
        problems.append(f"{folder} cannot be written to: name another folder with --runs")
    if sys.platform == "win32":
        problems.append("Windows: a page that hangs the parser is ended by the wall limit, not by its CPU time")
    return problems


def _memory_bytes() -> int | None:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
