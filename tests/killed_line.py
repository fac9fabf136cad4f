"""The command line with a kill -9 built in: `python -m tests.killed_line STAGE SECONDS WORDS...`

Runs `glassmill WORDS...` and kills its whole process group SECONDS after STAGE opened its run folder, but at the
latest when the stage is about to write DONE. So the kill lands inside the stage on a machine of any speed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from glassmill.cli import main


def arm(stage: str, seconds: str) -> None:
    """Python tells a hook of every file before it is opened or renamed."""
    ticking = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal ticking
        if event not in ("open", "os.rename"):
            return
        path = str(arguments[1] if event == "os.rename" else arguments[0])
        if f"/{stage}/" not in path:
            return
        if event == "os.rename" and path.endswith("/DONE"):
            os.killpg(0, signal.SIGKILL)
        if path.endswith("/events.jsonl") and not ticking:
            ticking = True  # a process of its own: a thread would wait for native code that holds the interpreter
            subprocess.Popen(["sh", "-c", f"sleep {seconds}; kill -9 0"])

    sys.addaudithook(watch)


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2])
    sys.argv = ["glassmill", *sys.argv[3:]]
    main()
