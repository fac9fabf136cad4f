"""The memory of this process and of its machine: what was taken, what there is, a limit, and whether it ran out."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def peak_memory() -> int:
    """Peak resident memory of this process, in bytes; 0 where the system does not report it (Windows).

    On Linux it comes from /proc (proc(5), VmHWM): there, `ru_maxrss` also counts the memory of the process that started
    this one, because a child starts in its parent's memory and keeps that peak.
    """
    if peak := _status("VmHWM"):
        return peak
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def limit_memory(more_bytes: int) -> None:
    """From now on this process may take `more_bytes` beyond what it has; 0 lifts the limit. Linux only.

    A request beyond it fails, in Python with MemoryError. The limit is on writable memory of its own (setrlimit(2),
    RLIMIT_DATA), so that a file of any size may be mapped.
    """
    have = _status("VmData")
    if resource is None or not have:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = have + more_bytes if more_bytes else hard
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard < 0 else min(soft, hard), hard))


def system_kills() -> int:
    """How many processes the kernel has killed for want of memory: in this control group, else on this machine."""
    places = [Path("/proc/vmstat")]
    with contextlib.suppress(OSError, IndexError):
        group = Path("/proc/self/cgroup").read_text().split("::", 1)[1].splitlines()[0]
        places.insert(0, Path("/sys/fs/cgroup") / group.lstrip("/") / "memory.events")
    for place in places:
        with contextlib.suppress(OSError, ValueError):
            counts = dict(line.split(" ", 1) for line in place.read_text().splitlines())
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return 0


def _status(name: str) -> int:
    """A size in /proc/self/status, in bytes; 0 where the system has no such file."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
    return 0


def available_memory() -> int:
    """Bytes that this process can still use: of the machine and, where there is one, of its control group.

    Sources: proc(5), MemAvailable; cgroup v2, memory.max, memory.current and memory.stat.
    """
    bounds = [sys.maxsize]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        bounds.append(int(fields["MemAvailable"].split()[0]) << 10)
    try:
        limit, used, stat = (Path(f"/sys/fs/cgroup/memory.{name}").read_text() for name in ("max", "current", "stat"))
        cached = dict(line.split() for line in stat.splitlines())["inactive_file"]  # given back when it is needed
        bounds += [int(limit) - int(used) + int(cached)] if limit.strip() != "max" else []
    except (OSError, ValueError, KeyError):
        pass
    return max(0, min(bounds))
