"""The memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> int:
    """Bytes of the most resident memory this process ever held; 0 where the system does not tell (Windows).

    Linux is asked through /proc (proc(5), VmHWM): `ru_maxrss` there also counts what the process that started this
    one held, because a child begins in its parent's memory and keeps that peak.
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
