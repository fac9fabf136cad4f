"""The memory of this process and of its machine."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> int:
    """Peak resident memory of this process, in bytes; 0 where the system does not report it (Windows).

    On Linux it comes from /proc (proc(5), VmHWM): there, `ru_maxrss` also counts the memory of the process that started
    this one, because a child starts in its parent's memory and keeps that peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) << 10
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def available_memory() -> int:
    """Bytes that this process can still use: of the machineand, where there is one, of its control group.

    Sources: proc(5), MemAvailable; cgroup v2, memory.max and memory.current.
    """
    bounds = [sys.maxsize]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        bounds.append(int(fields["MemAvailable"].split()[0]) << 10)
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        bounds += [int(limit) - int(used)] if limit != "max" else []
    except (OSError, ValueError):
        pass
    return max(0, min(bounds))
